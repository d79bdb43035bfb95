"""What is said of pseudo-speakers, against figures worked out by other means."""

import numpy as np
import pytest

from srctrace.rng import generator
from srctrace.speakers.quality import Evidence, information, judge, purity

FACTS = {
    "language": "en",
    "embedding": "LFCC statistics",
    "standardised": "source",
    "clusters": 4,
    "chosen": "given",
    "gap": "",
}


def evidence(labels, sources, speakers=None, silhouettes=0.5) -> Evidence:
    speakers = [""] * len(labels) if speakers is None else speakers
    fit = np.broadcast_to(silhouettes, len(labels))
    return Evidence(np.array(sources), np.array(speakers), np.array(labels), fit)


def test_information_is_what_its_definition_gives():
    rng = generator("information")
    labels, sources = rng.integers(0, 5, 400), rng.integers(0, 3, 400)
    sources[labels == 2] = 1
    bits = entropy = 0.0
    for source in range(3):
        p = np.mean(sources == source)
        entropy -= p * np.log2(p)
        for label in range(5):
            joint = np.mean((sources == source) & (labels == label))
            bits += joint * np.log2(joint / (p * np.mean(labels == label))) if joint else 0.0
    assert information(labels, sources) == pytest.approx((bits, bits / entropy))


def test_information_between_nothing_and_all():
    assert information([0, 0, 1, 1], list("abab")) == pytest.approx((0, 0))
    assert information([0, 1, 2, 3], list("abcd")) == pytest.approx((2, 1))
    assert information([0, 1, 2, 3], list("aabb")) == pytest.approx((1, 1))


def test_purity_by_hand():
    assert purity(np.array([0, 0, 0, 1, 1, 2]), np.array(list("xxyyyx"))) == pytest.approx(5 / 6)


def test_good_clusters_are_ok():
    speakers = ["k", "l", "m", "n"] * 6
    row = judge(evidence([0, 1, 2, 3] * 6, ["a"] * 12 + ["b"] * 12, speakers), FACTS)
    assert (row["level"], row["purity"], row["adjusted_rand"], row["n_speakers"]) == ("ok", 1, 1, 4)
    assert row["normalised_information"] == pytest.approx(0, abs=1e-9)
    unknown = judge(evidence([0, 1, 2, 3] * 6, ["a"] * 12 + ["b"] * 12), FACTS)
    assert (unknown["level"], unknown["purity"], unknown["adjusted_rand"], unknown["n_speakers"]) == ("ok", "", "", "")


def test_clusters_that_are_sources_are_warned_of():
    row = judge(evidence([0, 1] * 6 + [2, 3] * 6, ["a"] * 12 + ["b"] * 12), FACTS)
    assert row["level"] == "warning"
    assert "give away 100% of the source's entropy" in row["finding"]
    row = judge(evidence([0, 1] * 6 + [2] * 12, ["a"] * 12 + ["b"] * 12), FACTS)
    assert "One cluster only, so one speaker perhaps: b." in row["finding"]


def test_a_little_is_worth_a_note():
    labels = [0] * 10 + [1] * 2 + [0] * 2 + [1] * 10
    row = judge(evidence(labels, ["a"] * 12 + ["b"] * 12), FACTS)
    assert 0.25 < row["normalised_information"] < 0.5
    assert row["level"] == "note"


def test_a_source_that_nothing_divides_is_named():
    row = judge(evidence([0, 1, 2, 3] * 6, ["a"] * 12 + ["b"] * 12, silhouettes=[0.4] * 12 + [0.05] * 12), FACTS)
    assert row["level"] == "warning"
    assert "b (0.05)" in row["finding"]
    assert "a (0.40)" not in row["finding"]
