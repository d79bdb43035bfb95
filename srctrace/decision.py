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
FORMAT = 2  # 1, which did not say so, told of real speech in one mean over all languages
COHORT = 200  # dev trials that are kept

FACTS = (
    *("corpus", "languages", "n_dev", "false_rejection", "ece_before", "ece_after", "unknown"),
    *("trained_languages", "other_languages"),
    *("bona_fide", "bona_fide_trained_languages", "bona_fide_other_languages"),
)

_ARRAYS = ("centre", "whitening", "prototypes", "cohort")
_NUMBERS = ("temperature", "threshold", "mean", "deviation")
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
        facts: the `FACTS`. `corpus` and `languages` of dev, `n_dev`, `false_rejection` (share of dev that the threshold
            is to reject), `ece_before` and `ece_after` (of dev); `unknown` (the sources it was tested on), and, in the
            `trained_languages` and in `other_languages`, which `languages` these are, and mean `auroc`,
            `false_acceptance` and `false_rejection`; `bona_fide`, whether it was tested on real speech in a language
            that was trained on, and, against real speech, the same means in `bona_fide_trained_languages` and in
            `bona_fide_other_languages`. What was not tested is null.
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
        "format": FORMAT,
        "weights_sha256": weights_sha256,
        "sources": decision.sources,
        "method": decision.method,
        **{name: getattr(decision, name) for name in (*_NUMBERS, "facts")},
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
        UserError: it is damaged, of another format, or was fitted to another model.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    again = "delete it, and have the workflow make it anew: snakemake --cores all"
    try:
        with safe_open(path, framework="np") as file:
            content = json.loads(file.metadata()["decision"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        _require_format(content.pop("format", 1), path, again)
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
        _require_sound(decision)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged, or of another srctrace ({error}): {again}") from None
    model = read_model(folder)
    if weights != model["weights_sha256"]:
        raise UserError(f"{path}: fitted to other weights than those of the model beside it: {again}")
    if list(decision.sources) != model["sources"]:
        raise UserError(f"{path}: fitted to other sources than those of the model beside it: {again}")
    return decision


def _require_format(found: int, path: Path, again: str) -> None:
    if found != FORMAT:
        fix = "install a newer srctrace: pip install --upgrade srctrace" if found > FORMAT else again
        raise UserError(f"{path}: a decision of format {found}, and this srctrace reads format {FORMAT}: {fix}")


def _require_sound(decision: Decision) -> None:
    """Refuse parts that do not belong together.

    Raises:
        ValueError, KeyError: says which.
    """
    for name in FACTS:
        decision.facts[name]  # a KeyError says which is missing
    size, width = decision.whitening.shape
    shapes = {"centre": (size,), "prototypes": (len(decision.sources), width), "cohort": (len(decision.cohort), width)}
    for name, shape in shapes.items():
        if getattr(decision, name).shape != shape:
            raise ValueError(f"{name} of shape {getattr(decision, name).shape}, where {shape} is expected")
    numbers = np.array([getattr(decision, name) for name in _NUMBERS], dtype=float)
    arrays = (numbers, *(getattr(decision, name) for name in _ARRAYS), *decision.detector.learnt.values())
    if not all(np.isfinite(array).all() for array in arrays) or not decision.cohort.size:
        raise ValueError("numbers are missing, NaN or infinite")
    if decision.temperature <= 0 or decision.deviation <= 0:
        raise ValueError("a temperature or deviation that is not above 0")
    decision.score(np.zeros((1, size)), np.zeros((1, len(decision.sources))))  # its arrays fit embeddings, or it raises


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
    """What is known of the threshold on sources that the model does not know, and on real speech: the last of `FACTS`.

    In languages that were not trained on, more of everything is rejected: a mean over all would flatter it.
    """
    rows = [row for row in openset if row["method"] == detectors.DEFAULT]
    names = sorted({row["unknown"] for row in rows} - {"all", BONA_FIDE})
    pooled = [row for row in rows if row["unknown"] == "all"]
    real = [row for row in rows if row["unknown"] == BONA_FIDE]
    return {
        "unknown": names,
        **_by_language("", pooled, trained),
        "bona_fide": any(row["test"] in trained for row in real),
        **_by_language("bona_fide_", real, trained),
    }


def _by_language(prefix: str, rows: list[Mapping], trained: Sequence[str]) -> dict:
    return {
        f"{prefix}trained_languages": _means([row for row in rows if row["test"] in trained]),
        f"{prefix}other_languages": _means([row for row in rows if row["test"] not in trained]),
    }


def _means(rows: list[Mapping]) -> dict | None:
    if not rows:
        return None
    rates = {name: fmean(row[name] for row in rows) for name in ("auroc", "false_acceptance", "false_rejection")}
    return {"languages": sorted({row["test"] for row in rows}), **rates}
