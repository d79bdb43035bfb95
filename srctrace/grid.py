"""The enumeration of experiments: from a config to conditions, models and cells.

Standard library only: the Snakefile imports it, and Snakemake reads the Snakefile again for every job.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from srctrace.errors import UserError

FRONTENDS = ("lfcc",)
BACKENDS = ("resnet18", "ecapa-tdnn", "aasist")
VARIANTS = ("clean", "noise", "music", "babble", "reverb")
BUILTIN_LANGUAGES = ("en", "de", "fr", "it", "pl", "ru")


class ConfigError(UserError):
    """A config that cannot be expanded: the message names the key and what it can be."""


@dataclass(frozen=True)
class Model:
    """One training job: a system, trained on one condition of a protocol with one seed."""

    protocol: str
    system: str
    train: str
    seed: int

    @property
    def folder(self) -> str:
        """Where its files are, below `results/{corpus}/`."""
        return f"{self.protocol}/{self.system}/{self.train}/seed{self.seed}"


def conditions(config: Mapping, protocol: str) -> dict[str, list[str]]:
    """Conditions of a protocol: name to the languages in it. Each is a train and a test condition."""
    return {"mono": _mono}[protocol](config)


def models(config: Mapping) -> list[Model]:
    """Every model of the run, in the order of the config."""
    return [
        Model(protocol, system, train, seed)
        for protocol in config["protocols"]
        for system, train, seed in product(config["systems"], conditions(config, protocol), config["seeds"])
    ]


def split_system(system: str) -> tuple[str, str]:
    """Front-end and back-end of a system's name, as `lfcc-ecapa-tdnn`.

    Raises:
        ConfigError: either is not known.
    """
    for backend in BACKENDS:
        frontend = system.removesuffix(f"-{backend}")
        if frontend != system and frontend in FRONTENDS:
            return frontend, backend
    known = ", ".join(f"{frontend}-{backend}" for frontend, backend in product(FRONTENDS, BACKENDS))
    raise ConfigError(f"systems: unknown system {system!r}; known: {known}")


def check(config: Mapping) -> None:
    """What a schema cannot say.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    for system in config["systems"]:
        split_system(system)
    corpus = config["corpus"]
    if corpus["type"] == "builtin":
        for language in corpus["languages"]:
            if language not in BUILTIN_LANGUAGES:
                known = ", ".join(BUILTIN_LANGUAGES)
                raise ConfigError(f"corpus.languages: the built-in corpus does not speak {language!r}; known: {known}")
    elif not corpus["path"]:
        raise ConfigError(f"corpus.path: missing: say where the {corpus['type']} corpus lies")
    elif corpus["type"] == "table" and not corpus["table"]:
        raise ConfigError("corpus.table: missing: name the table of utterances")
    both = set(corpus["sources"]) & set(corpus["out_of_set"])
    if both:
        raise ConfigError(f"corpus.out_of_set: {', '.join(sorted(both))} cannot be in corpus.sources too")
    unknown = set(config["train"]["variants"]) - set(config["variants"])
    if unknown:
        raise ConfigError(f"train.variants: {', '.join(sorted(unknown))} is not among variants")


def _mono(config: Mapping) -> dict[str, list[str]]:
    """Mono- and cross-lingual: each language alone."""
    return {language: [language] for language in config["corpus"]["languages"]}
