"""How many clusters: the gap statistic (Tibshirani, Walther and Hastie, 2001), on the sphere.

Clusters are looked for until one more no longer helps more than it helps where there are none: in directions drawn at
random with the same covariance.
"""

import numpy as np
from tqdm import tqdm

from srctrace.rng import generator
from srctrace.speakers.kmeans import Clustering, spherical_kmeans, unit

REFERENCES = 10  # sets of directions drawn at random


def choose(
    vectors: np.ndarray, least: int, most: int, starts: int, *address: str | int
) -> tuple[Clustering, float, bool]:
    """The clustering with the smallest k whose gap is not below that of k + 1 by more than its standard error.

    Returns:
        The clustering; its gap, in nats; and whether the rule was met: if it is not up to `most`, that is taken.
    """
    references = [_reference(vectors, generator(*address, "reference", number)) for number in range(REFERENCES)]

    def examine(k: int) -> tuple[Clustering, float, float]:
        clustering = spherical_kmeans(vectors, k, starts, *address)
        spread = [
            _spread(spherical_kmeans(reference, k, starts, *address, "reference", number))
            for number, reference in enumerate(references)
        ]
        error = np.std(spread) * np.sqrt(1 + 1 / REFERENCES)
        return clustering, float(np.mean(spread) - _spread(clustering)), float(error)

    clustering, gap, _ = examine(least)
    for k in tqdm(range(least + 1, most + 1), desc="clusters tried", unit="number", mininterval=1):
        larger, larger_gap, error = examine(k)
        if gap >= larger_gap - error:
            return clustering, gap, True
        clustering, gap = larger, larger_gap
    return clustering, gap, False


def _spread(clustering: Clustering) -> float:
    """Logarithm of the mean cosine distance to the centres."""
    return float(np.log(max(1 - clustering.objective, 1e-12)))


def _reference(vectors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many directions, normally distributed with the vectors' mean and covariance before they are scaled."""
    mean = vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(vectors - mean, full_matrices=False)
    normal = rng.standard_normal((len(vectors), len(spread)), dtype=vectors.dtype)
    return unit(mean + (normal * (spread / len(vectors) ** 0.5)) @ axes)
