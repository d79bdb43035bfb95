"""Trivial systems: what can be had without a model that listens.

A logistic regression on the mean and the standard deviation over time of each LFCC (`lfcc-statistics`), and one on
facts about the file that say nothing about how the speech sounds (`metadata`). A benchmark where the second is good
measures its corpus; a system that is no better than the first has learnt no more than average spectra.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from srctrace.errors import UserError
from srctrace.metrics import Scores, cell
from srctrace.store import open_store
from srctrace.tables import read_table

METADATA = ("rms", "peak", "dc", "silence", "duration", "sample_rate", "channels", "bandwidth")
VARIANT = "clean"

Row = dict[str, str]
Vectors = Mapping[str, np.ndarray]


def lfcc_statistics(features: str | os.PathLike) -> dict[str, np.ndarray]:
    """Utterance to the means, then the standard deviations, over time of its clean LFCCs: `(2 * n_lfcc,)` float64.

    Raises:
        UserError: the store is missing or damaged.
    """
    store = open_store(features, ["utterance", "variant"])
    vectors = {}
    for index, row in enumerate(store.rows):
        if row["variant"] == VARIANT:
            record = store.record(index).astype(np.float64)
            vectors[row["utterance"]] = np.concatenate([record.mean(axis=1), record.std(axis=1)])
    return vectors


def metadata(waves: str | os.PathLike) -> dict[str, np.ndarray]:
    """Utterance to the `METADATA` of its file, in that order and in the index's units: `(8,)` float64.

    Args:
        waves: the index (`.tsv`) of a store of waves.

    Raises:
        UserError: the table is missing, or a value is not a number.
    """
    vectors = {}
    for row in read_table(waves, ["utterance", *METADATA]):
        try:
            vectors[row["utterance"]] = np.array([float(row[name]) for name in METADATA])
        except ValueError as error:
            raise UserError(f"{waves}: utterance {row['utterance']!r}: {error}: delete the waves, run again") from None
    return vectors


def classifier() -> Pipeline:
    """Logistic regression on standardised features; scikit-learn's defaults, run to convergence."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))


def matrix(
    systems: Mapping[str, Vectors],
    splits: Mapping[str, Sequence[Row]],
    cells: Sequence[tuple[str, str]],
    corpus: str,
    protocol: str,
) -> Iterator[dict[str, object]]:
    """Rows of `metrics.tsv`: every trivial system in every cell.

    Trained on the train rows, tested on the eval rows whose source was in training; a pair without any is left out.

    Args:
        systems: name to its vectors, one per utterance.
        splits: condition to the rows of its split table.
        cells: (train, test) conditions.

    Raises:
        UserError: an utterance has no vector, or one with a value that is not finite; a train condition has fewer
            than two sources.
    """
    tests = {train: [test for other, test in cells if other == train] for train, _ in cells}
    jobs = [(system, train) for system in systems for train in tests if _rows(splits[train], "train")]
    for system, train in tqdm(jobs, desc="audit: baselines", unit="condition", mininterval=1):
        predict, sources = _fit(systems[system], _rows(splits[train], "train"), f"{system}, trained on {train}")
        for test in tests[train]:
            rows = [row for row in _rows(splits[test], "eval") if row["source"] in sources]
            if rows:
                identity = {"corpus": corpus, "protocol": protocol, "system": system, "seed": 0}
                identity |= {"train": train, "test": test, "variant": VARIANT}
                yield cell(_scores(rows, predict(rows)), sources, identity)[0]


def _fit(vectors: Vectors, rows: Sequence[Row], where: str) -> tuple[Callable, list[str]]:
    sources = sorted({row["source"] for row in rows})
    if len(sources) < 2:
        raise UserError(f"{where}: all utterances are of {sources[0]!r}: two sources at least are needed to tell apart")
    model = classifier().fit(_stack(vectors, rows), [row["source"] for row in rows])
    return lambda tested: model.predict(_stack(vectors, tested)), sources


def _scores(rows: Sequence[Row], predicted: Sequence[str]) -> Scores:
    return Scores.of(
        (row["utterance"], row["speaker"], VARIANT, row["source"], guess)
        for row, guess in zip(rows, predicted, strict=True)
    )


def _stack(vectors: Vectors, rows: Sequence[Row]) -> np.ndarray:
    try:
        stacked = np.stack([vectors[row["utterance"]] for row in rows])
    except KeyError as error:
        raise UserError(
            f"utterance {error.args[0]!r} is in a split but its waves or features are not there: "
            "delete those of its language and run again"
        ) from None
    for row, finite in zip(rows, np.isfinite(stacked).all(axis=1), strict=True):
        if not finite:
            raise UserError(f"utterance {row['utterance']!r}: its features hold NaN or infinity: make them again")
    return stacked


def _rows(rows: Sequence[Row], split: str) -> list[Row]:
    return [row for row in rows if row["split"] == split]
