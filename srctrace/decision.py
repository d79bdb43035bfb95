"""What a model says of a file beyond its logits: calibrated probabilities, whether it knows the source, and how like a
source's prototype an embedding is. `decision.safetensors`, beside the model.

All is fitted on the model's own train and dev trials: unknown sources only say how good it is.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_tensors
from scipy.special import log_softmax, softmax

from srctrace import fewshot
from srctrace.calibration import ece, fit_temperature
from srctrace.embeddings import Trials
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.grid import BONA_FIDE
from srctrace.openset import detectors
from srctrace.openset.measures import ACCEPTED, threshold

NAME = "decision.safetensors"
COHORT = 200  # dev trials that are kept

_ARRAYS = ("centre", "whitening", "prototypes", "cohort")
_LEARNT = "detector."  # before the names of the detector's arrays


@dataclass(frozen=True)
class Decision:
    """Fitted to one model, of k sources and embeddings of size d.

    Attributes:
        sources: in the order of the logits.
        temperature: of the logits.
        detector: tells known from unknown sources.
        threshold: of its score; at or above it, the source is a known one.
        mean, deviation: of its score over dev trials, so that scores of several models can be averaged.
        centre, whitening: `(d,)` and `(d, m)`: from embeddings to the space in which they are compared.
        prototypes: `(k, m)`, of length 1, in that space; zero for a source without train utterances.
        cohort: `(c, m)`: dev trials in that space.
        facts: `corpus` and `languages` of dev, `n_dev`, `false_rejection` (share of dev that the threshold is to
            reject), `ece_before` and `ece_after` (of dev); `unknown` (the sources it was tested on), and, in the
            `trained_languages` and in `other_languages`, mean `auroc`, `false_acceptance` and `false_rejection`;
            `bona_fide`, whether it was tested on real speech, and then `bona_fide_auroc` and
            `bona_fide_false_acceptance`. What was not tested is null.
    """

    sources: tuple[str, ...]
    temperature: float
    detector: detectors.Detector
    threshold: float
    mean: float
    deviation: float
    centre: np.ndarray
    whitening: np.ndarray
    prototypes: np.ndarray
    cohort: np.ndarray
    facts: dict

    @property
    def method(self) -> str:
        return self.detector.method

    def log_probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated log-probabilities `(n, k)` of `(n, k)` logits."""
        return log_softmax(np.asarray(logits, dtype=float) / self.temperature, axis=1)

    def score(self, embeddings: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """How like a known source `(n, d)` embeddings and `(n, k)` logits are: `(n,)`."""
        return self.detector.score(np.asarray(embeddings, dtype=float), np.asarray(logits, dtype=float))

    def project(self, embeddings: np.ndarray) -> np.ndarray:
        """`(n, d)` embeddings in the space of prototypes, `(n, m)`: whitened by the covariance that the sources share,
        and of length 1."""
        return detectors.unit((np.asarray(embeddings, dtype=float) - self.centre) @ self.whitening)

    def margins(self, prototypes: np.ndarray) -> np.ndarray:
        """How much more similar to `(e, m)` prototypes of enrolled sources than to any source that the model was
        trained on an embedding must be, to be of an enrolled one: `(e,)`. See `fewshot.margins`."""
        return fewshot.margins(self.cohort, self.prototypes, prototypes)


def fit(trials: Trials, corpus: str, openset: Iterable[Mapping] = ()) -> Decision:
    """Fit to the train and dev trials of a model.

    Args:
        openset: rows of the model's `openset.tsv`, for the facts.
    """
    train, dev = trials.train, trials.dev
    detector = detectors.fit(detectors.DEFAULT, train.embedding, train.logits, train.label)
    scores = detector.score(dev.embedding, dev.logits)
    temperature = fit_temperature(dev.logits, dev.label)
    centre = detectors.class_means(train.embedding, train.label).mean(axis=0)
    whitening = detectors.whitening(train.embedding, train.label)
    projected = detectors.unit((train.embedding - centre) @ whitening)
    prototypes = np.zeros((len(trials.sources), projected.shape[1]))
    for label in np.unique(train.label):
        prototypes[label] = fewshot.enrol(projected[train.label == label])
    kept = np.unique(np.linspace(0, len(dev) - 1, COHORT).round().astype(int))
    facts = {
        "corpus": corpus,
        "languages": sorted(set(dev.language.tolist())),
        "n_dev": len(dev),
        "false_rejection": round(1 - ACCEPTED, 6),
        "ece_before": ece(softmax(dev.logits, axis=1), dev.label),
        "ece_after": ece(softmax(dev.logits / temperature, axis=1), dev.label),
    }
    return Decision(
        sources=trials.sources,
        temperature=temperature,
        detector=detector,
        threshold=threshold(scores),
        mean=float(scores.mean()),
        deviation=float(scores.std()) or 1.0,
        centre=centre,
        whitening=whitening,
        prototypes=prototypes,
        cohort=detectors.unit((dev.embedding[kept] - centre) @ whitening),
        facts=facts | _tested(openset, facts["languages"]),
    )


def save(decision: Decision, path: str | os.PathLike, weights_sha256: str) -> None:
    """Write one file: the same bytes for the same decision.

    Args:
        weights_sha256: digest of the weights of the model that it was fitted to.
    """
    arrays = {name: getattr(decision, name) for name in _ARRAYS}
    arrays |= {f"{_LEARNT}{name}": array for name, array in decision.detector.learnt.items()}
    content = {
        "weights_sha256": weights_sha256,
        "sources": decision.sources,
        "method": decision.method,
        **{name: getattr(decision, name) for name in ("temperature", "threshold", "mean", "deviation", "facts")},
    }
    # One key: of several, safetensors would write the order as it comes.
    data = save_tensors(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        {"decision": json.dumps(content, sort_keys=True)},
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def load(folder: str | os.PathLike) -> Decision | None:
    """The decision in a model's folder; none where there is no such file.

    Raises:
        UserError: it is damaged, or was fitted to other weights than the model has.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    again = "delete it and run the workflow again"
    try:
        with safe_open(path, framework="np") as file:
            content = json.loads(file.metadata()["decision"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        weights = content.pop("weights_sha256")
        learnt = {name.removeprefix(_LEARNT): array for name, array in arrays.items() if name.startswith(_LEARNT)}
        method = content.pop("method")
        if method not in detectors.METHODS:
            raise ValueError(f"unknown method {method}")
        decision = Decision(
            **content | {"sources": tuple(content["sources"])},
            detector=detectors.Detector(method, learnt),
            **{name: arrays[name] for name in _ARRAYS},
        )
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged, or of another srctrace ({error}): {again}") from None
    if weights != read_model(folder)["weights_sha256"]:
        raise UserError(f"{path}: fitted to other weights than those of the model beside it: {again}")
    return decision


def read_model(folder: str | os.PathLike) -> dict:
    """What a model's `model.json` says, read without the model.

    Raises:
        UserError: it is missing or damaged.
    """
    path = Path(folder) / "model.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: content[name] for name in ("sources", "training", "weights_sha256")}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: --model is the folder of a model") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}): train the model again") from None


def _tested(openset: Iterable[Mapping], trained: Sequence[str]) -> dict:
    """What is known of the threshold on sources that the model does not know, and on real speech.

    In languages that were not trained on, more of everything is rejected: a mean over all would flatter it.
    """
    rows = [row for row in openset if row["method"] == detectors.DEFAULT]
    names = sorted({row["unknown"] for row in rows} - {"all", BONA_FIDE})
    pooled = [row for row in rows if row["unknown"] == "all"]
    real = [row for row in rows if row["unknown"] == BONA_FIDE]
    return {
        "unknown": names,
        "trained_languages": _means([row for row in pooled if row["test"] in trained]),
        "other_languages": _means([row for row in pooled if row["test"] not in trained]),
        "bona_fide": bool(real),
        "bona_fide_auroc": _mean(real, "auroc"),
        "bona_fide_false_acceptance": _mean(real, "false_acceptance"),
    }


def _means(rows: list[Mapping]) -> dict | None:
    return {name: _mean(rows, name) for name in ("auroc", "false_acceptance", "false_rejection")} if rows else None


def _mean(rows: list[Mapping], column: str) -> float | None:
    return fmean(row[column] for row in rows) if rows else None
