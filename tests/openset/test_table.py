from dataclasses import replace

import numpy as np
import pytest

from srctrace.grid import BONA_FIDE
from srctrace.openset import detectors
from srctrace.openset.measures import POINTS, auroc
from srctrace.openset.table import DETECTION_COLUMNS, OPENSET_COLUMNS, ROTATIONS, measure, rotations
from srctrace.tables import write_table
from tests.openset.made import MODEL, SOURCES, made_trials


@pytest.fixture(scope="module")
def measured():
    return measure(MODEL, made_trials(unknown=("x", "y", "z", BONA_FIDE), spread=4))


def test_every_row_has_its_columns(measured, tmp_path):
    openset, detection = measured
    write_table(tmp_path / "openset.tsv", OPENSET_COLUMNS, openset)
    write_table(tmp_path / "detection.tsv", DETECTION_COLUMNS, detection)
    assert all(set(row) == set(OPENSET_COLUMNS) for row in openset)
    assert all(set(row) == set(DETECTION_COLUMNS) for row in detection)
    for row in openset:
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
        assert row["protocol"] == "out-of-set"


def test_what_is_measured_of_fixed_methods(measured):
    rows = [row for row in measured[0] if row["method"] != "chosen"]
    assert {row["rotation"] for row in rows} == {"-"}
    found = [(row["test"], row["method"], row["unknown"]) for row in rows]
    unknown = ("x", "y", "z", "all", BONA_FIDE)
    expected = {(test, method, name) for test in ("de", "en") for method in detectors.METHODS for name in unknown}
    assert len(found) == len(expected)
    assert set(found) == expected
    # Real speech is a condition of its own.
    assert {row["n_unknown"] for row in rows if row["unknown"] == "all"} == {24}
    assert {row["n_unknown"] for row in rows if row["unknown"] != "all"} == {8}


def test_rates_are_those_of_the_threshold_that_dev_gives():
    trials = made_trials(spread=4)
    train, dev = trials.train, trials.dev
    detector = detectors.fit("energy", train.embedding, train.logits, train.label)
    limit = np.sort(detector.score(dev.embedding, dev.logits))[1]  # one of 36 may be below
    known = trials.known.where(trials.known.language == "de")
    unknown = trials.unknown.where((trials.unknown.language == "de") & (trials.unknown.source == "x"))
    high, low = (detector.score(part.embedding, part.logits) for part in (known, unknown))
    (row,) = (
        row
        for row in measure(MODEL, trials)[0]
        if (row["test"], row["method"], row["unknown"]) == ("de", "energy", "x")
    )
    assert row["threshold"] == limit
    assert row["auroc"] == auroc(high, low)
    assert row["false_rejection"] == pytest.approx(np.mean(high < limit))
    assert row["false_acceptance"] == pytest.approx(np.mean(low >= limit))
    right = known.logits.argmax(axis=1) == known.label
    assert row["open_accuracy"] == pytest.approx((np.mean(right & (high >= limit)) + np.mean(low < limit)) / 2)


def test_open_accuracy_does_not_depend_on_how_many_are_unknown():
    trials = made_trials(spread=4)
    twice = trials.where(np.r_[np.arange(len(trials)), np.flatnonzero(trials.label < 0)])
    for one, other in zip(measure(MODEL, trials)[0], measure(MODEL, twice)[0], strict=True):
        assert other["n_unknown"] == 2 * one["n_unknown"]
        assert other["open_accuracy"] == pytest.approx(one["open_accuracy"])
        assert other["auroc"] == pytest.approx(one["auroc"])


def test_curves_go_from_end_to_end(measured):
    curves = {}
    for row in measured[1]:
        points = curves.setdefault((row["test"], row["method"], row["unknown"]), [])
        points.append((row["false_acceptance"], row["false_rejection"]))
    assert set(curves) == {
        (test, method, name) for test in ("de", "en") for method in detectors.METHODS for name in ("all", BONA_FIDE)
    }
    for points in curves.values():
        assert len(points) <= POINTS
        assert (points[0], points[-1]) == ((1, 0), (0, 1))
        assert points == sorted(points, key=lambda point: (-point[0], point[1]))


class TestRotations:
    def test_half_of_the_sources_in_a_circle(self):
        assert rotations("dcab") == [
            (("a", "b"), ("c", "d")),
            (("b", "c"), ("a", "d")),
            (("c", "d"), ("a", "b")),
            (("a", "d"), ("b", "c")),
        ]
        assert rotations("abc") == [(("a",), ("b", "c")), (("b",), ("a", "c")), (("c",), ("a", "b"))]
        assert rotations("a") == rotations("") == []

    def test_many_sources_have_few_rotations(self):
        names = [f"s{number:02d}" for number in range(50)]
        found = rotations(names)
        assert len(found) == len(set(found)) == ROTATIONS
        for held_out, others in found:
            assert len(held_out) == 25
            assert sorted({*held_out, *others}) == names

    def test_what_a_row_is_measured_on_chose_nothing(self, measured):
        rows = [row for row in measured[0] if row["method"] == "chosen"]
        assert {row["rotation"] for row in rows} == {"x", "y", "z"}
        for row in rows:
            assert row["unknown"] == "all" or row["unknown"] not in row["rotation"].split("+")
            assert row["unknown"] != BONA_FIDE

    def test_the_method_is_the_best_on_the_sources_held_out(self):
        trials = made_trials(unknown=("x", "y", "z"), spread=4)
        openset, _ = measure(MODEL, trials)
        # What is unknown in the other language, and the sources that are not held out, can be anything.
        noise = np.random.default_rng(0).standard_normal(trials.embedding.shape)
        other = (trials.label < 0) & ~((trials.source == "x") & (trials.language == "en"))
        spoilt = replace(trials, embedding=np.where(other[:, np.newaxis], noise, trials.embedding))
        for rows in (openset, measure(MODEL, spoilt)[0]):
            (threshold,) = {row["threshold"] for row in rows if row["rotation"] == "x"}
            dev, held_out = trials.dev, trials.unknown
            held_out = held_out.where((held_out.source == "x") & (held_out.language == "en"))
            found, train = {}, trials.train
            for method in detectors.METHODS:
                detector = detectors.fit(method, train.embedding, train.logits, train.label)
                scores = (detector.score(part.embedding, part.logits) for part in (dev, held_out))
                found[method] = auroc(*scores)
            best = max(found, key=found.get)
            assert threshold == next(row["threshold"] for row in rows if row["method"] == best)


def test_one_unknown_source_leaves_no_choice():
    openset, _ = measure(MODEL, made_trials(unknown=("x",)))
    assert "chosen" not in {row["method"] for row in openset}
    openset, _ = measure(MODEL, made_trials(unknown=("x", BONA_FIDE)))
    assert "chosen" not in {row["method"] for row in openset}


def test_without_unknown_trials_there_is_nothing():
    assert measure(MODEL, made_trials(unknown=())) == ([], [])


def test_real_speech_alone_has_no_all():
    openset, _ = measure(MODEL, made_trials(unknown=(BONA_FIDE,)))
    assert {row["unknown"] for row in openset} == {BONA_FIDE}
    assert {row["n_known"] for row in openset} == {15 * len(SOURCES)}
