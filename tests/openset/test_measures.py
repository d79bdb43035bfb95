import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from srctrace.openset.measures import (
    POINTS,
    auroc,
    auroc_interval,
    eer,
    error_curve,
    fpr95,
    thinned,
    threshold,
)

scores = st.lists(st.integers(0, 12), min_size=1, max_size=40).map(lambda values: np.array(values) / 4)  # with ties


def truth(known: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.r_[np.ones(len(known)), np.zeros(len(unknown))], np.r_[known, unknown]


@given(scores, scores)
def test_auroc_agrees_with_scikit_learn_and_with_counting(known, unknown):
    assert auroc(known, unknown) == pytest.approx(roc_auc_score(*truth(known, unknown)))
    pairs = known[:, np.newaxis] - unknown
    assert auroc(known, unknown) == pytest.approx(np.mean((pairs > 0) + (pairs == 0) / 2))


@given(scores, scores)
def test_auroc_depends_on_order_alone(known, unknown):
    assert auroc(np.exp(known), np.exp(unknown)) == pytest.approx(auroc(known, unknown))
    assert auroc(-known, -unknown) == pytest.approx(1 - auroc(known, unknown))


@given(scores, scores)
def test_fpr95_agrees_with_scikit_learn(known, unknown):
    accepted, found, _ = roc_curve(*truth(known, unknown), drop_intermediate=False)
    assert fpr95(known, unknown) == pytest.approx(accepted[found >= 0.95 - 1e-9].min())


@given(scores)
def test_a_threshold_is_the_highest_that_accepts_95_percent(known):
    limit = threshold(known)
    assert np.mean(known >= limit) >= 0.95 - 1e-9
    higher = known[known > limit]
    assert not len(higher) or np.mean(known >= higher.min()) < 0.95 - 1e-9


def test_one_in_twenty_is_rejected():
    assert threshold(np.arange(20)) == 1
    assert threshold(np.arange(19)) == 0


@given(scores, scores)
def test_the_error_curve_agrees_with_scikit_learn(known, unknown):
    false_acceptance, false_rejection = error_curve(known, unknown)
    accepted, found, _ = roc_curve(*truth(known, unknown), drop_intermediate=False)
    np.testing.assert_allclose(false_acceptance[::-1], accepted, atol=1e-12)
    np.testing.assert_allclose(1 - false_rejection[::-1], found, atol=1e-12)
    assert (false_acceptance[0], false_rejection[0]) == (1, 0)
    assert (false_acceptance[-1], false_rejection[-1]) == (0, 1)
    assert np.trapezoid(found, accepted) == pytest.approx(auroc(known, unknown))


@given(scores, scores)
def test_the_equal_error_rate_is_on_the_curve_and_the_diagonal(known, unknown):
    accepted, found, _ = roc_curve(*truth(known, unknown), drop_intermediate=False)
    rate = eer(known, unknown)
    # Between two points of the curve, of which one has more false acceptance and the other more false rejection.
    points = list(zip(accepted, 1 - found, strict=True))
    above = next(point for point in points if point[0] >= point[1] - 1e-12)
    below = [point for point in points if point[0] <= point[1] + 1e-12][-1]
    assert min(above[1], below[0]) - 1e-9 <= rate <= max(above[0], below[1]) + 1e-9
    assert eer(-unknown, -known) == pytest.approx(rate)


def test_equal_error_rates_that_are_known():
    assert eer(np.array([2.0, 3]), np.array([0.0, 1])) == 0
    assert eer(np.array([0.0, 1]), np.array([2.0, 3])) == 1
    assert eer(np.ones(3), np.ones(5)) == 0.5
    assert eer(np.array([1.0, 3, 4, 5]), np.array([0.0, 0, 0, 2])) == 0.25


@given(scores, scores)
def test_a_thinned_curve_is_part_of_the_curve_with_both_ends(known, unknown):
    curve = error_curve(known, unknown)
    points = thinned(*curve)
    assert len(points[0]) <= POINTS
    assert set(zip(*points, strict=True)) <= set(zip(*curve, strict=True))
    assert [(x[0], x[-1]) for x in points] == [(1, 0), (0, 1)]


class TestInterval:
    def drawn(self, shift: float, n: int = 60, m: int = 30, seed: int = 0):
        rng = np.random.default_rng(seed)
        return rng.standard_normal(n) + shift, rng.standard_normal(m)

    def test_holds_the_auroc_and_is_the_same_every_time(self):
        known, unknown = self.drawn(1)
        speakers = np.array([f"s{index % 6}" for index in range(90)])
        low, high = auroc_interval(known, unknown, speakers, ["x"])
        assert 0 <= low < auroc(known, unknown) < high <= 1
        assert auroc_interval(known, unknown, speakers, ["x"]) == (low, high)
        assert auroc_interval(known, unknown, speakers, ["y"]) != (low, high)

    def test_replicates_agree_with_weighted_auroc_of_scikit_learn(self):
        from srctrace.openset.measures import _Replicates

        rng = np.random.default_rng(0)
        known, unknown = rng.integers(0, 9, 20) / 2, rng.integers(0, 7, 12) / 2
        member = rng.integers(0, 5, 32)
        lower, upper = _Replicates(known, unknown, member, 5).draw(np.random.default_rng(1), 4)
        weights = np.random.default_rng(1).standard_exponential((7, 4))
        for turn, ends in enumerate(zip(lower, upper, strict=True)):
            heavy = [*weights[:5, turn][member], *weights[5:, turn]]
            for end, far in zip(ends, (-99, 99), strict=True):
                labels, values = truth(known, unknown)
                expected = roc_auc_score([*labels, 1, 0], [*values, far, -far], sample_weight=heavy)
                assert end == pytest.approx(expected)

    def test_speakers_widen_it_only_where_there_are_enough(self):
        known, unknown = self.drawn(1)
        nobody = np.full(90, "")
        alone = auroc_interval(known, unknown, nobody, ["x"])
        assert auroc_interval(known, unknown, np.array(["s1", "s2"] * 45), ["x"]) == alone
        shifted = known + np.repeat([-2, 0, 2], 20)  # speakers differ
        speakers = np.array([*np.repeat(["s1", "s2", "s3"], 20), *["s1", "s2", "s3"] * 10])
        low, high = auroc_interval(shifted, unknown, speakers, ["x"])
        low_alone, high_alone = auroc_interval(shifted, unknown, nobody, ["x"])
        assert high - low > 1.5 * (high_alone - low_alone)

    def test_what_is_all_separated_is_not_certain(self):
        known, unknown = np.arange(50) + 100.0, np.arange(10.0)
        low, high = auroc_interval(known, unknown, np.full(60, ""), ["x"])
        assert 0.5 < low < 0.9
        assert high == 1
        assert auroc_interval(unknown, known, np.full(60, ""), ["x"])[0] == 0

    def test_covers_the_truth_about_as_often_as_it_says(self):
        from scipy.stats import norm

        expected = norm.cdf(1 / np.sqrt(2))
        hits = 0
        for seed in range(100):
            low, high = auroc_interval(*self.drawn(1, seed=seed), np.full(90, ""), [seed], replicates=400)
            hits += low <= expected <= high
        assert hits >= 90
