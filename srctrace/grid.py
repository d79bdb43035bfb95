"""The enumeration of experiments: from a config to conditions, cells and models.

Standard library only: the Snakefile imports it, and Snakemake reads the Snakefile again for every job.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from srctrace.errors import UserError
from srctrace.frontends import catalogue

LFCC = "lfcc"
FINE_TUNED, FROZEN = "fine-tuned", "frozen"  # modes of an SSL front-end
LAST, WEIGHTED = "last", "weighted"  # layers of an SSL front-end, beside the number of one
BACKENDS = ("resnet18", "ecapa-tdnn", "aasist")
VARIANTS = ("clean", "noise", "music", "babble", "reverb")
BUILTIN_LANGUAGES = ("en", "de", "fr", "it", "pl", "ru")
OUT_OF_SET = "out-of-set"
BONA_FIDE = "bona-fide"  # the out-of-set source that is real speech
ALL = "all"  # out-of-set sources together, and all languages
LEAST_SEEDS = 3  # with fewer, a single model may be a lucky one


class ConfigError(UserError):
    """A config that cannot be expanded: the message names the key and what it can be."""


@dataclass(frozen=True)
class Condition:
    """A named train or test set: the utterances of some languages.

    `speakers`: `all` of them, or only those `seen` or `unseen` by a model trained on the languages `seen_by`; such a
    condition is for tests only. `unknown`: with the utterances of out-of-set sources.
    """

    name: str
    languages: tuple[str, ...]
    speakers: str = "all"
    seen_by: tuple[str, ...] = ()
    unknown: bool = False

    def __str__(self) -> str:
        """As `parse` reads it: NAME=LANGUAGE,… then, where it applies, :seen-by=LANGUAGE,… or :out-of-set."""
        text = f"{self.name}={','.join(self.languages)}"
        if self.seen_by:
            text += f":{self.speakers}-by={','.join(self.seen_by)}"
        return f"{text}:{OUT_OF_SET}" if self.unknown else text

    @property
    def kind(self) -> str:
        """What sort of set it is. The sets of a sort are the same whatever protocols are chosen."""
        if self.seen_by:
            return "speakers"
        if self.unknown:
            return "unknown"
        if self.languages == (self.name,):
            return "language"
        return self.name.partition("-")[0] if self.name.startswith(("all", "without-")) else "family"

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """The condition that `str` wrote, or a person.

        Raises:
            UserError: it has another form.
        """
        main, *rest = text.split(":")
        name, equals, languages = main.partition("=")
        condition = {"name": name, "languages": tuple(filter(None, languages.split(",")))}
        for part in rest:
            key, _, value = part.partition("=")
            if key in ("seen-by", "unseen-by") and value:
                condition |= {"speakers": key.removesuffix("-by"), "seen_by": tuple(value.split(","))}
            elif part == OUT_OF_SET:
                condition["unknown"] = True
            else:
                equals = ""
        if not (name and equals and condition["languages"]):
            raise UserError(
                f"condition {text!r}: expected NAME=LANGUAGE,… and perhaps :seen-by=LANGUAGE,…, :unseen-by=LANGUAGE,… "
                f"or :{OUT_OF_SET}"
            )
        return cls(**condition)


@dataclass(frozen=True)
class Cell:
    """One result of a protocol: models trained on one condition, tested on another.

    `group`: the cells that are averaged with it, as `cross-lingual`. `column`: its place in the protocol's table, whose
    rows are train conditions; the test condition, or what it is to the train condition, as `unseen language`.
    """

    protocol: str
    train: Condition
    test: Condition
    group: str
    column: str


@dataclass(frozen=True)
class Model:
    """One training job: a system, trained on one condition with one seed, whatever protocols test it."""

    system: str
    train: str
    seed: int

    @property
    def folder(self) -> str:
        """Where its files are, below `results/{corpus}/models/`."""
        return f"{self.system}/{self.train}/seed{self.seed}"


@dataclass(frozen=True)
class SslFrontend:
    """A self-supervised front-end: a checkpoint, and what is done with it.

    Attributes:
        checkpoint: a name on the Hugging Face hub, or a folder.
        revision: of the hub's.
        mode: `fine-tuned` with the back-end, or `frozen`.
        layers: whose hidden states are the features: the `last`, one by its number, or all, `weighted`.
        recipe: by which it is fine-tuned; one of the config's `recipes`.
    """

    name: str
    checkpoint: str
    revision: str
    mode: str
    layers: str | int
    recipe: str


def cells(config: Mapping) -> list[Cell]:
    """Every cell of the run, protocol by protocol; each stands for one result of every system and seed."""
    return [cell for protocol in config["protocols"] for cell in PROTOCOLS[protocol](config)]


def conditions(config: Mapping, protocols: Sequence[str] | None = None) -> dict[str, Condition]:
    """The conditions of some protocols, of all that were chosen by default, by name.

    Raises:
        ConfigError: two conditions have the same name.
    """
    chosen = config["protocols"] if protocols is None else protocols
    listed = [condition for condition in _out_of_set(config) if OUT_OF_SET in chosen]
    ends = [end for cell in cells(config) if cell.protocol in chosen for end in (cell.train, cell.test)]
    found: dict[str, Condition] = {}
    for condition in (*ends, *listed):
        other = found.setdefault(condition.name, condition)
        if sorted(other.languages) != sorted(condition.languages):
            raise ConfigError(
                f"families: {condition.name!r} would name two conditions ({', '.join(other.languages)} and "
                f"{', '.join(condition.languages)}): give the family another name"
            )
    return found


def tests(config: Mapping) -> dict[str, tuple[str, ...]]:
    """Train condition to all conditions that its models are tested on, over all protocols."""
    found: dict[str, dict[str, None]] = {}
    for cell in cells(config):
        found.setdefault(cell.train.name, {})[cell.test.name] = None
    return {train: tuple(names) for train, names in found.items()}


def models(config: Mapping) -> list[Model]:
    """Every model of the run, in the order of the config."""
    return [
        Model(system, train, seed) for system, train, seed in product(config["systems"], tests(config), config["seeds"])
    ]


def tested_protocols(config: Mapping) -> list[str]:
    """The protocols that have cells; out-of-set asks more of the models that these train."""
    return [protocol for protocol in config["protocols"] if protocol != OUT_OF_SET]


def compares(config: Mapping) -> bool:
    """Whether systems can be told apart: there are several, and seeds enough to know how much chance does."""
    return len(config["systems"]) > 1 and len(config["seeds"]) >= LEAST_SEEDS


def split_system(system: str) -> tuple[str, str]:
    """Front-end and back-end of a system's name, as `lfcc-ecapa-tdnn`, or `lfcc-ecapa-tdnn+aam` with a recipe.

    Raises:
        ConfigError: it does not end in a back-end.
    """
    main = system.partition("+")[0]
    for backend in BACKENDS:
        frontend = main.removesuffix(f"-{backend}")
        if frontend not in (main, ""):
            return frontend, backend
    raise ConfigError(
        f"systems: {system!r} is not FRONT-END-BACK-END, as lfcc-ecapa-tdnn; back-ends: {', '.join(BACKENDS)}"
    )


def frontend_of(config: Mapping, system: str, train: Condition) -> SslFrontend | None:
    """The SSL front-end of a system's models of a train condition; none for LFCC.

    Raises:
        ConfigError: there is no such front-end, or the config describes it wrongly.
    """
    name, _ = split_system(system)
    return None if name == LFCC else _ssl_frontend(config, _matched(config, name, train))


def training_of(config: Mapping, system: str, train: Condition) -> dict:
    """The training options of a system: `train`, but for what its recipe says.

    That is its front-end's, where that is a fine-tuned SSL model, and over it the one that its name ends in.

    Raises:
        ConfigError: there is no such recipe.
    """
    frontend = frontend_of(config, system, train)
    fine_tuned = frontend and frontend.mode == FINE_TUNED
    _, plus, named = system.partition("+")
    if plus and named not in config["recipes"]:
        raise ConfigError(f"systems: {system!r}: unknown recipe {named!r}; known: {', '.join(config['recipes'])}")
    training = config["train"] | (config["recipes"][frontend.recipe] if fine_tuned else {})
    return training | (config["recipes"][named] if plus else {})


def ssl_frontends(config: Mapping) -> dict[str, SslFrontend]:
    """Every SSL front-end that a model of the run has, by name."""
    trains = {cell.train.name: cell.train for cell in cells(config)}
    found = (frontend_of(config, system, train) for system, train in product(config["systems"], trains.values()))
    return {frontend.name: frontend for frontend in found if frontend}


def _matched(config: Mapping, name: str, train: Condition) -> str:
    """The name of the front-end that `name` stands for where models are trained on `train`."""
    given = config["frontends"].get(name, {})
    if not isinstance(given, str) and len({"matched", "checkpoint"} & given.keys()) == 2:
        raise ConfigError(f"frontends.{name}: has a checkpoint or is matched, not both")
    if isinstance(given, str) or "matched" not in given:
        if name not in catalogue.MATCHED or name in config["frontends"]:
            return name
        given = {"matched": catalogue.MATCHED[name], "mixed": catalogue.MIXED[name]}
    others = given.keys() - {"matched", "mixed"}
    if others:
        raise ConfigError(f"frontends.{name}: {', '.join(sorted(others))} is said of the front-ends that it stands for")
    if len(train.languages) > 1:
        if not given.get("mixed"):
            raise ConfigError(f"frontends.{name}.mixed: missing: {train.name} is of several languages")
        return given["mixed"]
    language = train.languages[0]
    if language not in given["matched"]:
        raise ConfigError(f"frontends.{name}.matched: no front-end for {language!r}")
    return given["matched"][language]


def _ssl_frontend(config: Mapping, name: str) -> SslFrontend:
    listed = catalogue.CHECKPOINTS.get(name)
    given = config["frontends"].get(name)
    if given is None and listed is None:
        known = [LFCC, *config["frontends"], *catalogue.MATCHED, *catalogue.CHECKPOINTS]
        raise ConfigError(
            f"systems: unknown front-end {name!r}; known: {', '.join(dict.fromkeys(known))}; others are named in "
            f"frontends, as `{name.rpartition('/')[2]}: {name if '/' in name else 'owner/name'}` or a folder"
        )
    options = {"checkpoint": given} if isinstance(given, str) else dict(given or {})
    if "matched" in options:
        raise ConfigError(f"frontends: {name!r} stands for other front-ends itself, and cannot be one of these")
    if "mixed" in options:
        raise ConfigError(f"frontends.{name}.mixed: goes with matched")
    checkpoint = options.pop("checkpoint", "") or (listed.hub if listed else "")
    if not checkpoint:
        raise ConfigError(f"frontends.{name}.checkpoint: missing: a name on the Hugging Face hub, or a folder")
    known = catalogue.find(checkpoint)
    options.setdefault("revision", known.revision if known else catalogue.MAIN)
    options = {key: config["ssl"][key] for key in ("mode", "layers", "recipe")} | options
    if options["recipe"] not in config["recipes"]:
        where = f"frontends.{name}.recipe" if isinstance(given, Mapping) and "recipe" in given else "ssl.recipe"
        raise ConfigError(f"{where}: unknown recipe {options['recipe']!r}; known: {', '.join(config['recipes'])}")
    return SslFrontend(name, checkpoint, **options)


def check(config: Mapping) -> None:
    """What a schema cannot say.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    _check_corpus(config["corpus"])
    _check_protocols(config)
    if config["split"]["lists"] and config["split"]["origin"] != "given":
        raise ConfigError("split.origin: set it to given, so that split.lists is used, or leave split.lists out")
    for name, recipe in config["recipes"].items():
        if "variants" in recipe:
            raise ConfigError(f"recipes.{name}.variants: all systems train on the same: set train.variants")
    if LFCC in config["frontends"]:
        raise ConfigError(f"frontends: {LFCC} is a front-end already: give yours another name")
    ssl_frontends(config)
    found = conditions(config)
    for system, train in product(config["systems"], tests(config)):
        frontend = frontend_of(config, system, found[train])
        if training_of(config, system, found[train])["outliers"] and frontend and frontend.mode == FINE_TUNED:
            raise ConfigError(
                f"systems: {system!r}: outliers are made of features, and a fine-tuned SSL model is given waveforms: "
                "set outliers to 0 in its recipe"
            )
    unknown = set(config["train"]["variants"]) - set(config["variants"])
    if unknown:
        raise ConfigError(f"train.variants: {', '.join(sorted(unknown))} is not among variants")
    if "clean" not in config["variants"]:
        raise ConfigError("variants: clean is missing: calibration and open-set decisions are fitted on it")


def _check_corpus(corpus: Mapping) -> None:
    if corpus["type"] == "builtin":
        for language in corpus["languages"]:
            if language not in BUILTIN_LANGUAGES:
                known = ", ".join(BUILTIN_LANGUAGES)
                raise ConfigError(f"corpus.languages: the built-in corpus does not speak {language!r}; known: {known}")
    elif not corpus["path"]:
        raise ConfigError(f"corpus.path: missing: say where the {corpus['type']} corpus lies")
    elif corpus["type"] == "table" and not corpus["table"]:
        raise ConfigError("corpus.table: missing: name the table of utterances")
    n_sources = len(corpus["sources"])
    if n_sources == 1 or (n_sources == 0 and corpus["type"] == "builtin"):
        raise ConfigError(f"corpus.sources: {n_sources} named, where two at least are to be told apart")
    if corpus["released_lfcc"] and corpus["type"] != "mcl-mlaad":
        raise ConfigError("corpus.released_lfcc: only mcl-mlaad comes with LFCCs")
    if corpus["released_lfcc"] and corpus["bona_fide"]:
        raise ConfigError("corpus.bona_fide: the released LFCCs have no real speech: set released_lfcc to false")
    for name in (BONA_FIDE, ALL):
        if name in corpus["sources"]:
            raise ConfigError(f"corpus.sources: {name!r} has a meaning of its own: give the source another name")
    both = set(corpus["sources"]) & set(corpus["out_of_set"])
    if both:
        raise ConfigError(f"corpus.out_of_set: {', '.join(sorted(both))} cannot be in corpus.sources too")


def _check_protocols(config: Mapping) -> None:
    protocols, languages = config["protocols"], config["corpus"]["languages"]
    if not tested_protocols(config):
        raise ConfigError(f"protocols: {OUT_OF_SET} is about the models of others: choose one that trains beside it")
    corpus = config["corpus"]
    if OUT_OF_SET in protocols and not (corpus["out_of_set"] or corpus["bona_fide"] or config["split"]["lists"]):
        raise ConfigError(
            f"protocols: {OUT_OF_SET} needs unknown sources: name some in corpus.out_of_set, or a folder of real "
            "speech in corpus.bona_fide"
        )
    families = config["families"] if "family" in protocols else {}
    if "family" in protocols and not families:
        raise ConfigError("families: missing: the protocol family needs them, as {romance: [fr, it], slavic: [pl, ru]}")
    for name, members in families.items():
        for language in members:
            if language not in languages:
                raise ConfigError(
                    f"families.{name}: {language!r} is not among corpus.languages: {', '.join(languages)}"
                )
    leave_one_out = {"unseen-language", "unseen-speaker"} & set(protocols)
    if leave_one_out and len(languages) < 2:
        raise ConfigError(f"protocols: {min(leave_one_out)} leaves a language out: corpus.languages has only one")
    conditions(config)


def _language(name: str) -> Condition:
    return Condition(name, (name,))


def _without(config: Mapping, left_out: str) -> Condition:
    rest = (language for language in config["corpus"]["languages"] if language != left_out)
    return Condition(f"without-{left_out}", tuple(rest))


def _all(config: Mapping) -> Condition:
    return Condition("all", tuple(config["corpus"]["languages"]))


def _mono(config: Mapping) -> Iterator[Cell]:
    """Mono- and cross-lingual: trained on each language, tested on each."""
    for train, test in product(config["corpus"]["languages"], repeat=2):
        group = "mono-lingual" if train == test else "cross-lingual"
        yield Cell("mono", _language(train), _language(test), group, test)


def _family(config: Mapping) -> Iterator[Cell]:
    """Language families: trained on each, tested on each."""
    for train, test in product(config["families"].items(), repeat=2):
        group = "same family" if train == test else "other family"
        ends = (Condition(name, tuple(languages)) for name, languages in (train, test))
        yield Cell("family", *ends, group, test[0])


def _unseen_language(config: Mapping) -> Iterator[Cell]:
    """Trained on all languages but one, tested on these together and on the one left out."""
    for language in config["corpus"]["languages"]:
        train = _without(config, language)
        for test, column in ((train, "seen languages"), (_language(language), "unseen language")):
            yield Cell("unseen-language", train, test, column, column)


def _unseen_speaker(config: Mapping) -> Iterator[Cell]:
    """The models of `unseen-language`, tested on speakers who were in their training and on others.

    Where speaker ids do not hold across languages, nobody of the language left out was in training.
    """
    for language in config["corpus"]["languages"]:
        train = _without(config, language)
        for of, where in ((train, "seen languages"), (_language(language), "unseen language")):
            for speakers in ("seen", "unseen"):
                column = f"{where}, {speakers} speakers"
                if of is train or config["speakers"]["across_languages"]:
                    test = Condition(f"{of.name}-{speakers}-speakers", of.languages, speakers, train.languages)
                    yield Cell("unseen-speaker", train, test, column, column)
                elif speakers == "unseen":
                    yield Cell("unseen-speaker", train, of, column, column)


def _pooled(config: Mapping) -> Iterator[Cell]:
    """Trained on all languages together, tested on these and on each: given split lists as they are."""
    train = _all(config)
    yield Cell("pooled", train, train, "all languages", train.name)
    if len(train.languages) > 1:
        for language in train.languages:
            yield Cell("pooled", train, _language(language), "each language", language)


def _out_of_set(config: Mapping) -> list[Condition]:
    """Lists with the utterances of out-of-set sources among the others': for each language, and for all."""
    ends = [*map(_language, config["corpus"]["languages"]), _all(config)]
    return [Condition(f"{end.name}-{OUT_OF_SET}", end.languages, unknown=True) for end in ends]


PROTOCOLS = {
    "mono": _mono,
    "family": _family,
    "unseen-language": _unseen_language,
    "unseen-speaker": _unseen_speaker,
    "pooled": _pooled,
    OUT_OF_SET: lambda config: (),
}
"""Protocol to its cells; the words that a config may choose."""
