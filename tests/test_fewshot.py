import numpy as np
import pytest

from srctrace import decision
from srctrace.fewshot import COLUMNS, DRAWS, enrol, margins, measure, nearest
from srctrace.grid import BONA_FIDE
from srctrace.tables import write_table
from tests.openset.made import MODEL, SOURCES, made_trials


def vectors(n: int, m: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, m))


def test_a_prototype_is_the_direction_of_the_mean():
    found = enrol(vectors(7))
    assert found.shape == (5,)
    assert np.linalg.norm(found) == pytest.approx(1)
    mean = vectors(7).mean(axis=0)
    np.testing.assert_allclose(found * np.linalg.norm(mean), mean)


def test_similarities_are_cosines():
    found = nearest(vectors(4), vectors(3, seed=1))
    for i, x in enumerate(vectors(4)):
        for j, y in enumerate(vectors(3, seed=1)):
            assert found[i, j] == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    np.testing.assert_allclose(nearest(3 * vectors(4), vectors(3, seed=1) / 7), found)


def test_one_in_twenty_of_the_cohort_is_beyond_the_margin_of_one():
    cohort, known, enrolled = vectors(400), vectors(3, seed=1), vectors(2, seed=2)
    found = margins(cohort, known, enrolled)
    assert found.shape == (2,)
    for prototype, margin in zip(enrolled, found, strict=True):
        above = nearest(cohort, prototype[np.newaxis])[:, 0] - nearest(cohort, known).max(axis=1)
        assert 0 < np.mean(above > margin) < 0.05
        (alone,) = margins(cohort, known, prototype[np.newaxis])
        assert np.mean(above > alone) == pytest.approx(0.05, abs=0.003)
        assert alone == np.quantile(above, 0.95)


def test_what_is_lost_to_several_together_is_one_in_twenty():
    cohort, known = vectors(400), vectors(3, seed=1)
    for seed in range(5):
        enrolled = vectors(6, seed=2 + seed)
        found = margins(cohort, known, enrolled)
        above = nearest(cohort, enrolled) - nearest(cohort, known).max(axis=1, keepdims=True)
        assert np.mean((above > found).any(axis=1)) == pytest.approx(0.05, abs=0.003)
        alone = [margins(cohort, known, prototype[np.newaxis])[0] for prototype in enrolled]
        assert np.ptp(found - alone) == pytest.approx(0, abs=1e-12)


def test_the_same_source_twice_loses_no_more():
    cohort, known, enrolled = vectors(400), vectors(3, seed=1), vectors(1, seed=2)
    twice = margins(cohort, known, np.repeat(enrolled, 2, axis=0))
    np.testing.assert_allclose(twice, margins(cohort, known, enrolled)[[0, 0]], atol=1e-12)


def test_nothing_is_like_a_source_without_train_utterances():
    """Where all others are behind it, a prototype of zeros would be the nearest."""
    known = np.stack([vectors(1)[0], np.zeros(5)])
    assert nearest(-vectors(1), known).argmax() == 0
    (margin,) = margins(-vectors(1), known, vectors(1, seed=1))
    assert margin == pytest.approx(margins(-vectors(1), known[:1], vectors(1, seed=1))[0])


@pytest.fixture(scope="module")
def measured():
    trials = made_trials(unknown=("x", "y", BONA_FIDE))
    return trials, measure(MODEL, trials, decision.fit(trials, "made"))


def test_rows(measured, tmp_path):
    _, rows = measured
    write_table(tmp_path / "fewshot.tsv", COLUMNS, rows)
    found = [(row["unknown"], row["shots"], row["test"]) for row in rows]
    # Of 8 utterances in each language, 5 are the most of which others are left; real speech is no source.
    assert found == [(source, shots, test) for source in ("x", "y") for shots in (1, 2, 5) for test in ("de", "en")]
    for row in rows:
        others = 8 - row["shots"] if row["test"] == "en" else 8
        assert row["n_trials"] == DRAWS * (15 * len(SOURCES) + others)
        assert row["accuracy"] == pytest.approx((row["recall"] + row["known_accuracy"]) / 2)


def test_sources_that_are_well_apart_are_told(measured):
    assert all(row["recall"] > 0.9 and row["known_accuracy"] > 0.85 for row in measured[1])


def test_the_same_every_time(measured):
    trials, rows = measured
    assert measure(MODEL, trials, decision.fit(trials, "made")) == rows


def test_a_source_that_the_languages_trained_on_lack_is_not_enrolled(measured):
    trials, _ = measured
    apart = trials.where((trials.source != "x") | (trials.language != "en"))
    assert {row["unknown"] for row in measure(MODEL, apart, decision.fit(apart, "made"))} == {"y"}


def test_without_unknown_sources_there_is_nothing():
    trials = made_trials(unknown=())
    assert measure(MODEL, trials, decision.fit(trials, "made")) == []
