"""Spherical k-means, the silhouette and the gap statistic, against scikit-learn and against what must hold."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from srctrace.rng import generator
from srctrace.speakers.gap import choose
from srctrace.speakers.kmeans import _seed, _settle, silhouettes, spherical_kmeans, unit


def blobs(k: int, each: int = 40, dimensions: int = 12, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Directions around `k` others drawn at random, and which each belongs to."""
    rng = generator("blobs", k, dimensions)
    truth = np.repeat(np.arange(k), each)
    centres = unit(rng.standard_normal((k, dimensions)))
    return unit(centres[truth] + noise * rng.standard_normal((len(truth), dimensions))), truth


def test_blobs_are_found():
    vectors, truth = blobs(7)
    found = spherical_kmeans(vectors, 7, 8, 0)
    assert adjusted_rand_score(truth, found.labels) == 1
    assert set(found.labels) == set(range(7))


@pytest.mark.parametrize(("k", "noise"), [(3, 0.5), (8, 0.5), (20, 1.0)])
def test_scikit_learn_finds_nothing_clearly_better(k, noise):
    """On unit vectors, squared distances are twice the cosine ones: its k-means looks for nearly the same."""
    vectors, _ = blobs(8, noise=noise)
    found = spherical_kmeans(vectors, k, 8, 0)
    theirs = KMeans(k, n_init=20, random_state=0).fit(vectors).labels_
    centres = unit(np.eye(k)[theirs].T @ vectors)
    assert found.objective > (vectors * centres[theirs]).sum(axis=1).mean() - 0.003


def test_labels_centres_and_objective_belong_together():
    vectors, _ = blobs(6, noise=0.6)
    found = spherical_kmeans(vectors, 9, 4, 0)
    np.testing.assert_array_equal(found.labels, (vectors @ found.centres.T).argmax(axis=1))
    means = np.stack([vectors[found.labels == k].mean(axis=0) for k in range(9)])
    np.testing.assert_allclose(found.centres, means / np.linalg.norm(means, axis=1, keepdims=True))
    cosines = [vector @ found.centres[label] for vector, label in zip(vectors, found.labels, strict=True)]
    assert found.objective == pytest.approx(np.mean(cosines))


def test_more_rounds_and_more_starts_are_no_worse(monkeypatch):
    vectors, _ = blobs(6, noise=0.8)
    objectives = []
    for rounds in range(1, 12):
        monkeypatch.setattr("srctrace.speakers.kmeans.ROUNDS", rounds)
        objectives.append(_settle(vectors, _seed(vectors, 8, generator("a start"))).objective)
    assert (np.diff(objectives) >= -1e-12).all()
    assert objectives[-1] > objectives[0]
    monkeypatch.undo()
    by_starts = [spherical_kmeans(vectors, 8, starts, 0).objective for starts in (1, 2, 4, 8, 16)]
    assert (np.diff(by_starts) >= 0).all()


def test_starts_are_addressed():
    vectors, _ = blobs(6, noise=0.8)
    first, again, other = (spherical_kmeans(vectors, 8, 1, seed).labels for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_no_cluster_stays_empty():
    """From centres that lie together, and with fewer different vectors than clusters."""
    vectors, _ = blobs(4)
    settled = _settle(vectors, np.repeat(vectors[:1], 5, axis=0))
    assert set(settled.labels) == set(range(5))
    same = np.repeat(vectors[:2], 10, axis=0)
    assert set(spherical_kmeans(same, 4, 2, 0).labels) == set(range(4))


@pytest.mark.parametrize("k", [2, 5, 30])
def test_silhouettes_are_scikit_learns(k):
    vectors, _ = blobs(6, each=15, noise=0.6)
    labels = spherical_kmeans(vectors, k, 2, 0).labels
    np.testing.assert_allclose(
        silhouettes(vectors, labels), silhouette_samples(vectors, labels, metric="cosine"), atol=1e-9
    )


@pytest.mark.parametrize("k", [3, 5, 9])
def test_the_gap_statistic_finds_how_many_there_are(k):
    vectors, truth = blobs(k)
    clustering, gap, met = choose(vectors, 2, 14, 4, 0)
    assert met
    assert gap > 0
    assert clustering.labels.max() + 1 == k
    assert adjusted_rand_score(truth, clustering.labels) == 1
    bounded, _, met = choose(vectors, 2, k - 1, 4, 0)
    assert not met
    assert bounded.labels.max() + 1 == k - 1


def test_where_nothing_is_to_be_found_the_gap_is_small():
    rng = generator("no clusters")
    vectors = unit(rng.standard_normal((300, 12)) * np.linspace(0.2, 2, 12))
    _, gap, _ = choose(vectors, 2, 10, 4, 0)
    assert abs(gap) < 0.05
