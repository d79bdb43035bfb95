import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from srctrace.openset.detectors import DEFAULT, METHODS, NEIGHBOURS, class_means, fit, unit, whitening
from tests.openset.made import made_trials

TRIALS = made_trials()
TRAIN, KNOWN, FOREIGN = TRIALS.train, TRIALS.known, TRIALS.unknown


def scored(method, trials=KNOWN, train=TRAIN):
    return fit(method, train.embedding, train.logits, train.label).score(trials.embedding, trials.logits)


def mahalanobis(embeddings, train, labels):
    """By scikit-learn's own distance, class by class."""
    means = np.stack([train[labels == label].mean(axis=0) for label in np.unique(labels)])
    shared = LedoitWolf(assume_centered=True).fit(train - means[labels])
    return -np.min([shared.mahalanobis(embeddings - mean) for mean in means], axis=0)


def test_scores_are_what_their_formulas_say():
    embeddings, logits = KNOWN.embedding, KNOWN.logits
    np.testing.assert_allclose(scored("softmax"), softmax(logits, axis=1).max(axis=1))
    np.testing.assert_allclose(scored("energy"), logsumexp(logits, axis=1))
    np.testing.assert_allclose(scored("mahalanobis"), mahalanobis(embeddings, TRAIN.embedding, TRAIN.label))
    centre = np.mean([TRAIN.embedding[TRAIN.label == label].mean(axis=0) for label in range(3)], axis=0)
    expected = mahalanobis(unit(embeddings - centre), unit(TRAIN.embedding - centre), TRAIN.label)
    np.testing.assert_allclose(scored("mahalanobis++"), expected)


def test_nsd_is_a_mean_over_training_utterances():
    expected = []
    for x, z in zip(KNOWN.embedding, KNOWN.logits, strict=True):
        terms = [
            x @ other / np.linalg.norm(x) / np.linalg.norm(other) * logsumexp(logits)
            for other, logits in zip(TRAIN.embedding, TRAIN.logits, strict=True)
        ]
        expected.append(logsumexp(z) * np.mean(terms))
    np.testing.assert_allclose(scored("nsd"), expected)


def test_knn_is_the_distance_to_a_neighbour():
    distances = np.linalg.norm(unit(KNOWN.embedding)[:, np.newaxis] - unit(TRAIN.embedding), axis=2)
    np.testing.assert_allclose(scored("knn"), -np.sort(distances, axis=1)[:, NEIGHBOURS - 1], atol=1e-7)
    few = TRAIN.where(np.arange(0, 2))  # fewer than that are there
    assert np.isfinite(scored("knn", train=few)).all()


def test_neco_is_the_share_in_the_plane_of_the_means():
    means = class_means(TRAIN.embedding, TRAIN.label)
    plane = (means[:2] - means[2]).T
    centred = KNOWN.embedding - means.mean(axis=0)
    inside = (plane @ np.linalg.lstsq(plane, centred.T)[0]).T
    expected = np.linalg.norm(inside, axis=1) / np.linalg.norm(centred, axis=1)
    np.testing.assert_allclose(scored("neco"), expected)


def test_the_shared_covariance_becomes_the_identity():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 5000)
    vectors = 5 * rng.standard_normal((3, 4))[labels] + rng.standard_normal((5000, 4)) @ rng.standard_normal((4, 4))
    white = vectors @ whitening(vectors, labels)
    within = white - class_means(white, labels)[labels]
    np.testing.assert_allclose(within.T @ within / 5000, np.eye(4), atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_one_number_for_a_trial_whatever_is_beside_it(method):
    together = scored(method)
    assert together.shape == (len(KNOWN),)
    np.testing.assert_allclose(scored(method, KNOWN.where(np.array([3, 1]))), together[[3, 1]])


@pytest.mark.parametrize("method", ["mahalanobis", "knn", DEFAULT])
def test_unknown_sources_have_lower_scores(method):
    labels = np.r_[np.ones(len(KNOWN)), np.zeros(len(FOREIGN))]
    assert roc_auc_score(labels, np.r_[scored(method), scored(method, FOREIGN)]) > 0.95


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("spoilt", ["constant", "single", "absent"])
def test_poor_training_data_give_finite_scores(method, spoilt):
    train = TRAIN
    if spoilt == "constant":
        train = train.where(np.zeros(6, dtype=int))
    elif spoilt == "single":
        train = train.where(np.unique(train.label, return_index=True)[1])
    else:
        train = train.where(train.label != 1)
    assert np.isfinite(scored(method, train=train)).all()
