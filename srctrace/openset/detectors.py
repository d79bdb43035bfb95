"""Scores that tell whether an utterance is of a source that the model knows: the higher, the more like one.

All are fitted on the training utterances alone, so whatever is measured on others is fair. E(x) is the log-sum-exp of
the logits, d the size of an embedding, k the number of sources.

- `softmax`: the maximum softmax probability (Hendrycks and Gimpel 2017, ICLR).
- `energy`: E(x) (Liu et al. 2020, NeurIPS 33:21464).
- `mahalanobis`: minus the squared distance to the nearest class mean, by the covariance that the classes share (Lee et
  al. 2018, NeurIPS 31:7167), which is shrunk as Ledoit and Wolf say (2004, J. Multivar. Anal. 88:365): there are about
  as many utterances as dimensions.
- `mahalanobis++`: the same of centred embeddings of unit length (Mueller and Hein 2025, ICML, who do not centre).
- `neco`: the share of a centred embedding that lies in the span of the class means (Ben Ammar et al. 2024, ICLR, who
  also multiply by the largest logit, and take principal components).
- `knn`: minus the distance to the k-th nearest training embedding, all of unit length (Sun et al. 2022, ICML, PMLR
  162:20827).
- `nsd`: Novel Similarity Detection, E(x) times the mean over training utterances of cos(x, x_i) E(x_i) (Xie et al.
  2024, Interspeech).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

DEFAULT = "mahalanobis++"
NEIGHBOURS = 5

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Detector:
    """A method, and what it has learnt of the training utterances: named arrays."""

    method: str
    learnt: Arrays

    def score(self, embeddings: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Scores `(n,)` of `(n, d)` embeddings and `(n, k)` logits."""
        return _METHODS[self.method][1](self.learnt, embeddings, logits)


def fit(method: str, embeddings: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Detector:
    """Learn from `(n, d)` embeddings, `(n, k)` logits and `(n,)` labels below k of the training utterances."""
    return Detector(method, _METHODS[method][0](embeddings, logits, labels))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors `(…, d)` at length 1; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.finfo(float).tiny)


def class_means(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Means `(classes, d)` of the classes that have vectors, in the order of their labels."""
    return np.stack([vectors[labels == label].mean(axis=0) for label in np.unique(labels)])


def whitening(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`(d, d)`: vectors times it have about the identity as the covariance that their classes share."""
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415 - whoever only scores starts sooner without

    within = vectors - class_means(vectors, labels)[np.unique(labels, return_inverse=True)[1]]
    variances, axes = np.linalg.eigh(ledoit_wolf(within, assume_centered=True)[0])
    return axes / np.sqrt(np.maximum(variances, np.finfo(float).eps))


def _energy(logits: np.ndarray) -> np.ndarray:
    return logsumexp(logits, axis=1)


def _nothing(embeddings: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Arrays:
    return {}


def _fit_mahalanobis(embeddings: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Arrays:
    whiten = whitening(embeddings, labels)
    return {"whitening": whiten, "means": class_means(embeddings, labels) @ whiten}


def _mahalanobis(learnt: Arrays, embeddings: np.ndarray, logits: np.ndarray) -> np.ndarray:
    white = embeddings @ learnt["whitening"]
    return -np.min([((white - mean) ** 2).sum(axis=1) for mean in learnt["means"]], axis=0)


def _fit_mahalanobis_unit(embeddings: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Arrays:
    centre = class_means(embeddings, labels).mean(axis=0)
    return {"centre": centre, **_fit_mahalanobis(unit(embeddings - centre), logits, labels)}


def _mahalanobis_unit(learnt: Arrays, embeddings: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return _mahalanobis(learnt, unit(embeddings - learnt["centre"]), logits)


def _fit_neco(embeddings: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Arrays:
    means = class_means(embeddings, labels)
    axes = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)[2]
    return {"centre": means.mean(axis=0), "axes": axes[: len(means) - 1].T}  # k centred means span k - 1 dimensions


def _neco(learnt: Arrays, embeddings: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.linalg.norm(unit(embeddings - learnt["centre"]) @ learnt["axes"], axis=1)


def _fit_knn(embeddings: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Arrays:
    return {"train": unit(embeddings)}


def _knn(learnt: Arrays, embeddings: np.ndarray, logits: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - see above

    neighbours = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(learnt["train"])), algorithm="brute")
    return -neighbours.fit(learnt["train"]).kneighbors(unit(embeddings))[0][:, -1]


def _fit_nsd(embeddings: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Arrays:
    return {"mean": (unit(embeddings) * _energy(logits)[:, np.newaxis]).mean(axis=0)}


def _nsd(learnt: Arrays, embeddings: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return _energy(logits) * (unit(embeddings) @ learnt["mean"])


_METHODS: dict[str, tuple[Callable[..., Arrays], Callable[..., np.ndarray]]] = {
    "softmax": (_nothing, lambda _, embeddings, logits: softmax(logits, axis=1).max(axis=1)),
    "energy": (_nothing, lambda _, embeddings, logits: _energy(logits)),
    "mahalanobis": (_fit_mahalanobis, _mahalanobis),
    "mahalanobis++": (_fit_mahalanobis_unit, _mahalanobis_unit),
    "neco": (_fit_neco, _neco),
    "knn": (_fit_knn, _knn),
    "nsd": (_fit_nsd, _nsd),
}
METHODS = tuple(_METHODS)
