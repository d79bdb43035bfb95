"""A run's sizes beside those of the paper: what was cut, and what was changed.

"Multilingual Source Tracing of Speech Deepfakes: A First Benchmark" (arXiv 2508.04143) and its published code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from srctrace.grid import BACKENDS, FINE_TUNED, VARIANTS, SslFrontend


@dataclass(frozen=True)
class Key:
    """A key of the config, and the paper's value of it."""

    name: str
    path: str
    paper: object
    remark: str = ""


KEYS = (
    Key("Variants tested", "variants", list(VARIANTS), "SSL systems: clean only"),
    Key("Seconds of an utterance", "seconds", 4.0),
    Key("LFCC coefficients", "lfcc.n_lfcc", 80),
    Key("ResNet18: width", "backends.resnet18.width", 64),
    Key("ECAPA-TDNN: channels", "backends.ecapa-tdnn.channels", 192),
    Key("ECAPA-TDNN: channels before pooling", "backends.ecapa-tdnn.mfa_channels", 1536),
    Key("AASIST: channels of the residual blocks", "backends.aasist.channels", [32, 32, 64, 64, 64, 64]),
    Key("AASIST: attention", "backends.aasist.attention", 128),
    Key("AASIST: graph nodes", "backends.aasist.graph", 64),
    Key("AASIST: stacked graph nodes", "backends.aasist.stack", 32),
    Key("AASIST: dropout", "backends.aasist.dropout", 0.5),
    Key("AASIST: residual blocks that pool time", "backends.aasist.time_pools", 0),
    Key("Epochs", "train.epochs", 50),
    Key("Batch size", "train.batch_size", 64, "SSL systems: 16, and 4 in the family and leave-one-out scripts"),
    Key("Learning rate", "train.lr", 0.0005),
    Key("Weight decay", "train.weight_decay", 0.0005),
    Key("Learning-rate schedule", "train.schedule", "halve", "every 10 epochs"),
    Key("Mixup alpha", "train.mixup", 0.5),
    Key("Epoch kept, by dev", "train.select", "loss"),
    Key("Seconds of a training stretch", "train.crop_seconds", 0, "0: the whole utterance"),
    Key("Variants trained on", "train.variants", list(VARIANTS)),
)


@dataclass(frozen=True)
class Difference:
    """One size, here and in the paper, as words."""

    name: str
    here: str
    paper: str
    same: bool


def compare(config: Mapping, eval_counts: Sequence[int], frontends: Sequence[SslFrontend] = ()) -> list[Difference]:
    """Every size that the config has.

    Args:
        frontends: the SSL front-ends of the run.
        eval_counts: clean evaluation utterances of each condition.
    """
    corpus = config.get("corpus")
    corpus = corpus if isinstance(corpus, Mapping) else {}
    systems, languages = config.get("systems") or [], corpus.get("languages") or []
    found = [
        Difference("Languages", str(len(languages)), "6", len(languages) == 6),
        Difference("Sources", *_pair(len(corpus.get("sources") or []), 4)),
        Difference("Systems", str(len(systems)), "11: 3 on LFCC, 8 on SSL models", len(systems) == 11),
    ]
    if eval_counts:
        low, high = min(eval_counts), max(eval_counts)
        here = str(low) if low == high else f"{low} to {high}"
        paper = "420 a language; 330 a Slavic one"
        found.append(Difference("Clean evaluation utterances", here, paper, (low, high) == (330, 420)))
    recipes = sorted({frontend.recipe for frontend in frontends if frontend.mode == FINE_TUNED})
    if frontends:
        here = ", ".join(recipes) or "none: frozen"
        found.append(Difference("Recipe of SSL models", here, "published", recipes == ["published"]))
    seeds = config.get("seeds") or []
    found.append(Difference("Training seeds", f"{len(seeds)}: {_words(seeds)}", "1: 688", list(seeds) == [688]))
    for key in KEYS:
        value = _look_up(config, key.path)
        if value is not None and _is_used(key.path, systems):
            paper = _words(key.paper) + (f" ({key.remark})" if key.remark else "")
            found.append(Difference(key.name, _words(value), paper, value == key.paper))
    return found


def _pair(here: int, paper: int) -> tuple[str, str, bool]:
    return str(here), str(paper), here == paper


def _look_up(config: Mapping, path: str) -> object:
    value: object = config
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _is_used(path: str, systems: Sequence[str]) -> bool:
    """A back-end's sizes matter only where a system has it."""
    backends = [backend for backend in BACKENDS if f"backends.{backend}." in path]
    return not backends or any(str(system).endswith(backends[0]) for system in systems)


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
