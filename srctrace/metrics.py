"""Metrics of one model, from its scores; and the tables of a whole run, from those of its models.

The closed-set task: trials whose true source the model does not know are left out here (they belong to the open-set
table). Macro-F1 is the unweighted mean of F1 over the in-set classes that have trials; a class never predicted counts
0; a prediction for a class without trials costs the true class its recall and stays in the confusion matrix.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtr, stdtrit

from srctrace.errors import UserError
from srctrace.grid import VARIANTS
from srctrace.protocol import read_split
from srctrace.rng import generator
from srctrace.tables import read_table, write_table

MODEL_COLUMNS = ("corpus", "system", "seed", "train")
CELL_COLUMNS = ("corpus", "protocol", "system", "seed", "train", "test", "variant")
METRICS_COLUMNS = (
    *CELL_COLUMNS,
    *("n_trials", "macro_f1", "macro_f1_low", "macro_f1_high", "accuracy", "balanced_accuracy"),
)
CLASSES_COLUMNS = (*CELL_COLUMNS, "source", "n_trials", "precision", "recall", "f1")
CONFUSION_COLUMNS = (*CELL_COLUMNS, "label", "predicted", "n")
SUMMARY_KEY = ("corpus", "protocol", "system", "train", "test", "variant")
SUMMARY_COLUMNS = (*SUMMARY_KEY, "n_seeds", "macro_f1_mean", "macro_f1_sd")
SCORES_COLUMNS = ("utterance", "variant", "label", "predicted")

REPLICATES = 1000
LEAST_SPEAKERS = 3  # below, an interval over speakers would be as wide as all values
CONFIDENCE = 0.95

Row = dict[str, object]


@dataclass(frozen=True)
class Evaluation:
    """What a confusion matrix says.

    `confusion` is `(len(sources), len(sources))`, integers: rows are true sources, columns predicted ones. `trials`,
    `precision`, `recall` and `f1` have one entry per source; they mean something where `trials` is above 0.
    """

    sources: tuple[str, ...]
    confusion: np.ndarray

    @property
    def trials(self) -> np.ndarray:
        return self.confusion.sum(axis=1)

    @property
    def precision(self) -> np.ndarray:
        return _ratio(np.diagonal(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> np.ndarray:
        return _ratio(np.diagonal(self.confusion), self.trials)

    @property
    def f1(self) -> np.ndarray:
        return _ratio(2 * np.diagonal(self.confusion), self.trials + self.confusion.sum(axis=0))

    @property
    def macro_f1(self) -> float:
        return float(self.f1[self.trials > 0].mean())

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def balanced_accuracy(self) -> float:
        return float(self.recall[self.trials > 0].mean())


@dataclass(frozen=True)
class Scores:
    """Scored utterances: equally long arrays of strings. An unknown speaker is the empty string."""

    utterance: np.ndarray
    speaker: np.ndarray
    variant: np.ndarray
    label: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[Sequence[str]]) -> "Scores":
        """From (utterance, speaker, variant, label, predicted) tuples."""
        return cls(*(np.array(column, dtype=str) for column in zip(*rows, strict=True)))

    def __len__(self) -> int:
        return len(self.label)

    def of_variant(self, variant: str) -> "Scores":
        """The trials of one variant, or of `all`."""
        keep = (self.variant == variant) | (variant == "all")
        return Scores(*(column[keep] for column in vars(self).values()))


def evaluate(labels: Sequence[str], predicted: Sequence[str], sources: Sequence[str]) -> Evaluation:
    """Closed-set evaluation of predictions.

    Raises:
        UserError: there are no trials, or a label or a prediction is not in `sources`.
    """
    confusion = np.zeros((len(sources), len(sources)), dtype=np.int64)
    np.add.at(confusion, (_codes(labels, sources), _codes(predicted, sources)), 1)
    if not confusion.any():
        raise UserError("nothing to evaluate: there are no trials of a known source")
    return Evaluation(tuple(sources), confusion)


def macro_f1(labels: Sequence, predicted: Sequence) -> float:
    """Macro-F1 over the classes that occur in `labels`, which may be names or numbers."""
    return evaluate(labels, predicted, sorted({str(name) for name in (*labels, *predicted)})).macro_f1


def bootstrap_interval(
    scores: Scores,
    sources: Sequence[str],
    address: Sequence[str | int],
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """An interval of macro-F1 that would hold for other utterances, and speakers, of the same sort.

    Whole clusters are resampled, since what belongs together errs together: all variants of an utterance, and all
    utterances of a speaker. Utterances are not drawn again within a drawn speaker: the differences between whole
    speakers already contain those between utterances, which a second stage would count twice (Davison and Hinkley
    1997, Bootstrap Methods and their Application, section 3.8). A handful of speakers says little about how speakers
    differ, and fewer than three say nothing: the interval is the hull of that over speakers and that over utterances.

    - Every cluster gets an exponential weight instead of a count (the Bayesian bootstrap, Rubin 1981, Ann. Statist.
      9:130), so no class ever vanishes from a replicate. How many trials each class has was designed, not observed:
      each replicate is brought back to it.
    - Where all trials are right, their weights do not matter, and the interval would be a point. As in the exact
      binomial interval (Clopper and Pearson 1934, Biometrika 26:404), the lower end therefore has one more utterance,
      of all variants, that is wrong, and the upper end one that is right; both are spread over the classes as the
      trials are. With all of n utterances right the lower end is about 1 - 3.7 / n (the rule of three, two-sided).
    - The percentiles are widened for few clusters: Student's t for the normal quantile, and the weights' variance
      (Hesterberg 2015, Am. Stat. 69:371, "expanded percentile interval"). Below five clusters these percentiles would
      be the extremes of the replicates, and chance; there, the interval is Student's, from the replicates' deviation.

    In simulations with 4 classes, of macro-F1 from 0.6 to 0.99, it covers 90 to 100 % where there are 6 to 12 speakers
    or independent utterances, and at least 87 % with 3 speakers that differ much.

    Args:
        address: what the randomness is keyed by: two cells with different addresses are independent.

    Returns:
        Low and high, with the macro-F1 of `scores` between them.

    Raises:
        UserError: see `evaluate`.
    """
    point = evaluate(scores.label, scores.predicted, sources).macro_f1
    clusters = {"utterances": scores.utterance}
    if len(np.unique(scores.speaker)) >= LEAST_SPEAKERS:
        alone = np.char.add("\x1f", scores.utterance)  # cannot be a speaker: no table holds this character
        clusters["speakers"] = np.where(scores.speaker == "", alone, scores.speaker)
    ends = [point]
    for kind, cluster in clusters.items():
        rng = generator("bootstrap", kind, *address)
        ends.extend(_cluster_interval(scores, cluster, sources, rng, replicates, confidence))
    return min(ends), min(1.0, max(ends))  # rounding may give 1 + 2e-16


def cell(scores: Scores, sources: Sequence[str], identity: Mapping[str, object]) -> tuple[Row, Evaluation]:
    """The row of `metrics.tsv` of one cell, whose `identity` has the `CELL_COLUMNS`, and what it was made from.

    Raises:
        UserError: see `evaluate`.
    """
    found = evaluate(scores.label, scores.predicted, sources)
    low, high = bootstrap_interval(scores, sources, [str(identity[column]) for column in CELL_COLUMNS])
    row = {
        **identity,
        "n_trials": len(scores),
        "macro_f1": found.macro_f1,
        "macro_f1_low": low,
        "macro_f1_high": high,
        "accuracy": found.accuracy,
        "balanced_accuracy": found.balanced_accuracy,
    }
    return row, found


def read_scores(table: str | os.PathLike, split: str | os.PathLike) -> tuple[Scores, tuple[str, ...]]:
    """Trials of a scores table whose true source the model knows, and the sources the model knows.

    Args:
        split: the test condition's split table: names the speakers and the utterances that may be scored.

    Raises:
        UserError: a column is missing; an utterance is not an eval utterance of the condition, or has another source
            there; an (utterance, variant) is listed twice; a variant or a predicted source is unknown; a probability
            is not a number from 0 to 1; no trial is left.
    """
    rows = read_table(table, SCORES_COLUMNS)
    expected = {row["utterance"]: row for row in read_split(split) if row["split"] == "eval"}
    sources = tuple(column[2:] for column in (rows[0] if rows else ()) if column.startswith("p_"))
    if rows and not sources:
        raise UserError(f"{table}: no column p_<source>: one probability per source is expected")
    seen = set()
    trials = []
    for row in rows:
        utterance, variant, label, predicted = (row[column] for column in SCORES_COLUMNS)
        where = f"{table}: utterance {utterance!r}, variant {variant!r}"
        if variant not in VARIANTS:
            raise UserError(f"{where}: unknown variant; known: {', '.join(VARIANTS)}")
        if (utterance, variant) in seen:
            raise UserError(f"{where}: listed twice")
        seen.add((utterance, variant))
        if utterance not in expected:
            raise UserError(f"{where}: not an eval utterance of {split}: score the condition's own list")
        if label != expected[utterance]["source"]:
            raise UserError(f"{where}: label {label!r}, but {split} says {expected[utterance]['source']!r}")
        if predicted not in sources:
            raise UserError(f"{where}: predicted {predicted!r} is not a source of the model: {', '.join(sources)}")
        for source in sources:
            if not _is_probability(row[f"p_{source}"]):
                raise UserError(f"{where}: p_{source} is {row[f'p_{source}']!r}, not a probability")
        if label in sources:
            trials.append((utterance, expected[utterance]["speaker"], variant, label, predicted))
    if not trials:
        raise UserError(f"{table}: no trial of a source the model knows: nothing to evaluate")
    return Scores.of(trials), sources


def measure(
    model: Mapping[str, object],
    cells: Sequence[tuple[str, str]],
    scores: str | os.PathLike,
    splits: str | os.PathLike,
    out: str | os.PathLike,
) -> None:
    """Write `metrics.tsv`, `classes.tsv` and `confusion.tsv` of one model into the folder `out`.

    For each cell, first over all trials (variant `all`), then over each variant that was scored. Classes without trials
    have no row in `classes.tsv` and none as a label in `confusion.tsv`, but may be predicted there.

    Args:
        model: has the `MODEL_COLUMNS`: corpus, system, seed, train.
        cells: (protocol, test condition) pairs.
        scores: folder with the scores of each test condition, as `{test}.tsv`.
        splits: folder with the split table of each test condition.

    Raises:
        UserError: see `read_scores`; or two scores tables are of different sources.
    """
    metrics, classes, confusion = [], [], []
    first: tuple[str, ...] = ()
    read: dict[str, Scores] = {}
    for protocol, test in cells:
        table = Path(scores) / f"{test}.tsv"
        if test not in read:
            read[test], sources = read_scores(table, Path(splits) / f"{test}.tsv")
            first = first or sources
            if sources != first:
                raise UserError(f"{table}: scored over {', '.join(sources)}, another test over {', '.join(first)}")
        trials = read[test]
        scored = [variant for variant in VARIANTS if (trials.variant == variant).any()]
        for variant in ("all", *scored):
            identity = {**model, "protocol": protocol, "test": test, "variant": variant}
            identity = {column: identity[column] for column in CELL_COLUMNS}
            row, found = cell(trials.of_variant(variant), first, identity)
            metrics.append(row)
            classes.extend({**identity, **class_row} for class_row in _class_rows(found))
            confusion.extend({**identity, **pair_row} for pair_row in _pair_rows(found))
    out = Path(out)
    write_table(out / "metrics.tsv", METRICS_COLUMNS, metrics)
    write_table(out / "classes.tsv", CLASSES_COLUMNS, classes)
    write_table(out / "confusion.tsv", CONFUSION_COLUMNS, confusion)


def summarise(metrics: Iterable[Mapping[str, object]]) -> list[Row]:
    """Rows of `summary.tsv`: mean and sample standard deviation of macro-F1 over seeds.

    Raises:
        UserError: a cell has the same seed twice.
    """
    cells: dict[tuple[str, ...], dict[str, float]] = {}
    for row in metrics:
        key = tuple(str(row[column]) for column in SUMMARY_KEY)
        by_seed = cells.setdefault(key, {})
        seed = str(row["seed"])
        if seed in by_seed:
            raise UserError(f"metrics: the cell {' '.join(key)} has seed {seed} twice")
        by_seed[seed] = float(row["macro_f1"])
    return [
        {
            **dict(zip(SUMMARY_KEY, key, strict=True)),
            "n_seeds": len(by_seed),
            "macro_f1_mean": fmean(by_seed.values()),
            "macro_f1_sd": stdev(by_seed.values()) if len(by_seed) > 1 else "",
        }
        for key, by_seed in sorted(cells.items(), key=lambda item: _order(SUMMARY_KEY, item[0]))
    ]


def collect(paths: Iterable[str | os.PathLike], columns: Sequence[str], out: str | os.PathLike) -> None:
    """Write the rows of all tables as one, sorted by their `columns`, whatever the order of `paths`.

    Raises:
        UserError: a table is missing or lacks one of `columns`.
    """
    rows = [row for path in paths for row in read_table(path, columns)]
    rows.sort(key=lambda row: _order(columns, [row[column] for column in columns]))
    write_table(out, columns, rows)


def _cluster_interval(
    scores: Scores,
    cluster: np.ndarray,
    sources: Sequence[str],
    rng: np.random.Generator,
    replicates: int,
    confidence: float,
) -> tuple[float, float]:
    k = len(sources)
    label = _codes(scores.label, sources)
    names, member = np.unique(cluster, return_inverse=True)
    pair = label * k + _codes(scores.predicted, sources)
    counts = csr_array((np.ones(len(pair)), (pair, member)), shape=(k * k, len(names)))

    size = np.bincount(label, minlength=k).astype(float)
    extra = size / len(np.unique(scores.utterance))  # trials of one more utterance, spread over the classes
    right = np.diag(extra)
    wrong = (extra / max(k - 1, 1))[:, np.newaxis] * (1 - np.eye(k))

    weights = rng.standard_exponential((len(names) + 1, replicates))
    drawn = (counts @ weights[:-1]).reshape(k, k, replicates)
    lower = replicate_macro_f1(drawn + wrong[..., np.newaxis] * weights[-1], size)
    upper = replicate_macro_f1(drawn + right[..., np.newaxis] * weights[-1], size)
    return replicate_interval(lower, upper, len(names), confidence)


def replicate_interval(
    lower: np.ndarray, upper: np.ndarray, clusters: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Ends of an interval within 0 and 1, from Bayesian bootstrap replicates of each; see `bootstrap_interval`."""
    if clusters < 2:
        return 0.0, 1.0
    deviations = _deviations((1 - confidence) / 2, clusters)
    tail = float(ndtr(deviations))
    if tail * len(lower) < 1:
        low, high = lower.mean() + deviations * lower.std(), upper.mean() - deviations * upper.std()
        return max(0.0, float(low)), min(1.0, float(high))
    return float(np.quantile(lower, tail)), float(np.quantile(upper, 1 - tail))


def replicate_macro_f1(confusion: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Macro-F1 of `(k, k, replicates)` weighted confusions, each brought back to `size` trials per class."""
    present = size > 0
    rows = confusion[present]
    size = size[present, np.newaxis]
    rows *= (size / rows.sum(axis=1))[:, np.newaxis]
    predicted = rows.sum(axis=0)[present]
    hits = rows[np.arange(len(rows)), np.flatnonzero(present)]
    return (2 * hits / (size + predicted)).mean(axis=0)


def _deviations(tail: float, clusters: int) -> float:
    """How many of the replicates' standard deviations below their mean the interval's lower end is.

    Exponential weights give a mean the variance S / (n (n + 1)), S being the sum of squares, where the unbiased
    estimate is S / (n (n - 1)).
    """
    return float(np.sqrt((clusters + 1) / (clusters - 1)) * stdtrit(clusters - 1, tail))


def _class_rows(found: Evaluation) -> list[Row]:
    columns = (found.sources, found.trials, found.precision, found.recall, found.f1)
    names = ("source", "n_trials", "precision", "recall", "f1")
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return [row for row in rows if row["n_trials"] > 0]


def _pair_rows(found: Evaluation) -> list[Row]:
    return [
        {"label": label, "predicted": predicted, "n": n}
        for label, counts in zip(found.sources, found.confusion, strict=True)
        for predicted, n in zip(found.sources, counts, strict=True)
        if counts.any()
    ]


def _codes(names: Sequence[str], sources: Sequence[str]) -> np.ndarray:
    index = {source: code for code, source in enumerate(sources)}
    try:
        return np.array([index[str(name)] for name in names], dtype=np.intp)
    except KeyError as error:
        raise UserError(f"{error.args[0]!r} is not a source of the model: {', '.join(sources)}") from None


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above / below`, and 0 where `below` is 0."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _is_probability(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _order(columns: Sequence[str], values: Sequence[str]) -> tuple:
    """A sort key: seeds as numbers, variants as everywhere, the rest as text."""
    return tuple(_rank(column, value) for column, value in zip(columns, values, strict=True))


def _rank(column: str, value: str) -> tuple[int, str]:
    if column == "variant" and value in VARIANTS:
        return VARIANTS.index(value) + 1, value
    if column == "seed" and value.isdecimal():
        return int(value), value
    return 0, value
