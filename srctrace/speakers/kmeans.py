"""Spherical k-means (Dhillon and Modha, 2001): clusters of directions, by cosine similarity."""

from dataclasses import dataclass

import numpy as np

from srctrace.rng import generator

ROUNDS = 200  # of reassignment; a start settles within some dozens


@dataclass(frozen=True)
class Clustering:
    """Clusters of unit vectors.

    `labels`: `(vectors,)`, the cluster whose centre is nearest. `centres`: `(k, dimensions)`, unit vectors.
    `objective`: the mean cosine similarity of a vector to its centre, which is maximised.
    """

    labels: np.ndarray
    centres: np.ndarray
    objective: float


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; a row of zeros stays."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norm > 0, norm, 1)


def spherical_kmeans(vectors: np.ndarray, k: int, starts: int, *address: str | int) -> Clustering:
    """The best of several starts, each drawn for (`address`, k, its number).

    Args:
        vectors: `(vectors, dimensions)`, of length 1, at least `k` of them.
    """
    found = [_settle(vectors, _seed(vectors, k, generator(*address, k, start))) for start in range(starts)]
    return max(found, key=lambda clustering: clustering.objective)


def silhouettes(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each vector's silhouette (Rousseeuw, 1987) in cosine distance; 0 for one that is alone in its cluster.

    The mean cosine distance to a cluster's members is that to the mean of these: no pair need be looked at.

    Args:
        vectors: `(vectors, dimensions)`, of length 1.
        labels: `(vectors,)`, from 0, of two clusters at least.
    """
    k = labels.max() + 1
    member = np.eye(k, dtype=vectors.dtype)[labels]
    sizes = member.sum(axis=0)
    similarity = vectors @ (member.T @ vectors).T  # sums over each cluster's members
    index = np.arange(len(vectors))
    others = sizes[labels] - 1
    within = 1 - (similarity[index, labels] - np.einsum("ij,ij->i", vectors, vectors)) / np.maximum(others, 1)
    between = 1 - similarity / np.maximum(sizes, 1)
    between[:, sizes == 0] = np.inf
    between[index, labels] = np.inf
    nearest = between.min(axis=1)
    scores = (nearest - within) / np.maximum(np.maximum(nearest, within), 1e-12)
    return np.where(others > 0, scores, 0.0)


def _seed(vectors: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """`k` of the vectors, each drawn by its cosine distance to the nearest before it (k-means++, on the sphere)."""
    chosen = [int(rng.integers(len(vectors)))]
    distance = np.full(len(vectors), np.inf)  # float64: what follows must sum to 1
    while len(chosen) < k:
        distance = np.minimum(distance, np.clip(1 - vectors @ vectors[chosen[-1]], 0, None))
        distance[chosen[-1]] = 0
        total = distance.sum()
        if total == 0:  # no more than so many different vectors
            chosen.append(int(rng.integers(len(vectors))))
        else:
            chosen.append(int(rng.choice(len(vectors), p=distance / total)))
    return vectors[chosen]


def _settle(vectors: np.ndarray, centres: np.ndarray) -> Clustering:
    """Move vectors to the nearest centre, and centres to the mean of their vectors, until nothing moves."""
    k = len(centres)
    labels = np.full(len(vectors), -1)
    for _ in range(ROUNDS):
        similarity = vectors @ centres.T
        moved = similarity.argmax(axis=1)
        if (moved == labels).all():
            break
        labels = moved
        nearness = similarity[np.arange(len(vectors)), labels]
        for empty in np.flatnonzero(np.bincount(labels, minlength=k) == 0):
            # A cluster without vectors takes the one that fits worst where it is, from a cluster that can spare it.
            spare = np.bincount(labels, minlength=k)[labels] > 1
            taken = int(np.argmin(np.where(spare, nearness, np.inf)))
            labels[taken], nearness[taken] = empty, np.inf
        centres = unit(np.eye(k, dtype=vectors.dtype)[labels].T @ vectors)
    nearness = np.einsum("ij,ij->i", vectors, centres[labels])
    return Clustering(labels, centres, float(nearness.mean(dtype=np.float64)))
