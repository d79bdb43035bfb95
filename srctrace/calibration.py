"""Whether probabilities can be believed: a trial given to a source with 80 % should be that source's in 80 % of cases.

Logits are divided by one temperature, which is fitted on dev trials and changes no prediction (Guo et al. 2017, ICML,
PMLR 70:1321).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from srctrace.embeddings import UNKNOWN, Trials
from srctrace.errors import UserError
from srctrace.metrics import CELL_COLUMNS, SCORES_COLUMNS, Row
from srctrace.tables import read_table

CALIBRATION_COLUMNS = (
    *CELL_COLUMNS,
    *("temperature", "n_trials", "nll_before", "nll_after", "brier_before", "brier_after", "ece_before", "ece_after"),
)
RELIABILITY_COLUMNS = (*CELL_COLUMNS, "stage", "bin", "n", "confidence", "accuracy")

COLDEST, HOTTEST = 0.05, 20.0  # temperatures
ECE_BINS = 15  # as many as Guo et al. have
RELIABILITY_BINS = 10


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which `(n, k)` logits say of `(n,)` labels what is likeliest.

    Where every trial is right, colder is always likelier, without end, and small dev sets are often all right. So there
    is one more trial that is wrong, in each way a little, as Platt has for two classes (1999, Probabilities for SV
    Machines): its logits are those of all trials in equal parts, its source any other than theirs.
    """

    def loss(log_temperature: float) -> float:
        logs = log_softmax(logits / np.exp(log_temperature), axis=1)
        right = logs[np.arange(len(labels)), labels]
        wrong = (logs.sum(axis=1) - right) / (logits.shape[1] - 1)
        return -float(right.sum() + wrong.mean())

    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - whoever only decides starts sooner without

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def nll(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood, in nats, of `(n,)` labels under `(n, k)` log-probabilities."""
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Multi-class Brier score, from 0 to 2 (Brier 1950): mean squared distance of `(n, k)` probabilities to the
    truth."""
    return float(((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1).mean())


def ece(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: mean difference of confidence and accuracy, over 15 equally wide bins of the largest
    probability, weighted by their trials."""
    bins = reliability(probabilities, labels, ECE_BINS)
    return sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in bins) / len(labels)


def reliability(probabilities: np.ndarray, labels: np.ndarray, n_bins: int = RELIABILITY_BINS) -> list[Row]:
    """Trials, mean largest probability and accuracy of each of `n_bins` equally wide bins that has trials.

    `bin` counts from 1: bin b has largest probabilities above (b - 1) / n_bins, up to b / n_bins.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    number = np.clip(np.ceil(confidence * n_bins), 1, n_bins).astype(int)
    return [
        {
            "bin": int(one),
            "n": int(np.sum(number == one)),
            "confidence": float(confidence[number == one].mean()),
            "accuracy": float(right[number == one].mean()),
        }
        for one in np.unique(number)
    ]


def measure(
    model: Mapping[str, object],
    cells: Sequence[tuple[str, str]],
    scores: Path,
    trials: Trials,
    temperature: float,
) -> tuple[list[Row], list[Row]]:
    """Rows of `calibration.tsv` and of `reliability.tsv` of one model.

    Args:
        model: has the `metrics.MODEL_COLUMNS`.
        cells: (protocol, test condition) pairs.
        scores: folder with `{test}.tsv`, which say what the trials of a test condition are.
        trials: has all of them.
        temperature: fitted on dev trials.

    Raises:
        UserError: a trial of a test condition has no embedding.
    """
    place = {key: index for index, key in enumerate(zip(trials.utterance, trials.variant, strict=True))}
    calibration, reliabilities = [], []
    found: dict[str, Trials] = {}
    for protocol, test in cells:
        table = scores / f"{test}.tsv"
        if test not in found:
            keys = [(row["utterance"], row["variant"]) for row in read_table(table, SCORES_COLUMNS)]
            missing = [key for key in keys if key not in place]
            if missing:
                raise UserError(f"{table}: {missing[0][0]!r} has no embedding: score the model again")
            tested = trials.where(np.array([place[key] for key in keys], dtype=int))
            found[test] = tested.where(tested.label != UNKNOWN)
        for variant in ("all", "clean"):
            tested = found[test].where((found[test].variant == variant) | (variant == "all"))
            if not len(tested):
                continue
            identity = {**model, "protocol": protocol, "test": test, "variant": variant}
            row = {**identity, "temperature": temperature, "n_trials": len(tested)}
            for stage, heat in (("before", 1.0), ("after", temperature)):
                logs = log_softmax(tested.logits / heat, axis=1)
                row[f"nll_{stage}"] = nll(logs, tested.label)
                row[f"brier_{stage}"] = brier(np.exp(logs), tested.label)
                row[f"ece_{stage}"] = ece(np.exp(logs), tested.label)
                if variant == "all":
                    bins = reliability(np.exp(logs), tested.label)
                    reliabilities.extend({**identity, "stage": stage, **one} for one in bins)
            calibration.append(row)
    return calibration, reliabilities
