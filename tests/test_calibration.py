import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from srctrace.calibration import (
    CALIBRATION_COLUMNS,
    RELIABILITY_COLUMNS,
    brier,
    ece,
    fit_temperature,
    measure,
    nll,
    reliability,
)
from srctrace.errors import UserError
from srctrace.metrics import SCORES_COLUMNS
from srctrace.tables import write_table
from tests.openset.made import MODEL, made_trials


def drawn(temperature: float, n: int = 20000, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their probabilities at a temperature."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((n, k))
    labels = (softmax(logits / temperature, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, labels.clip(max=k - 1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_finds_the_temperature_that_labels_were_drawn_at(temperature):
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_temperature_goes_with_the_scale_of_logits():
    logits, labels = drawn(1.5, n=500)
    assert fit_temperature(2 * logits, labels) == pytest.approx(2 * fit_temperature(logits, labels), rel=1e-3)


def test_few_trials_that_are_all_right_do_not_make_certain():
    logits, _ = drawn(1.0, n=50)
    labels = logits.argmax(axis=1)
    few, many = fit_temperature(logits, labels), fit_temperature(np.tile(logits, (20, 1)), np.tile(labels, 20))
    assert 0.06 < many < few
    probabilities = softmax(logits / few, axis=1)
    assert np.mean(1 - probabilities.max(axis=1)) > 1 / 50


@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_scores_agree_with_other_ways_to_compute_them(n, k, seed):
    logits, labels = drawn(1.0, n, k, seed)
    probabilities = softmax(logits, axis=1)
    names = list(range(k))
    assert nll(log_softmax(logits, axis=1), labels) == pytest.approx(log_loss(labels, probabilities, labels=names))
    pairs = zip(probabilities, labels, strict=True)
    squares = [sum((p - (c == label)) ** 2 for c, p in enumerate(row)) for row, label in pairs]
    assert brier(probabilities, labels) == pytest.approx(np.mean(squares))
    total = 0.0
    for number in range(15):
        inside = [i for i in range(n) if number / 15 < probabilities[i].max() <= (number + 1) / 15]
        right = sum(probabilities[i].argmax() == labels[i] for i in inside)
        total += abs(right - sum(probabilities[i].max() for i in inside))
    assert ece(probabilities, labels) == pytest.approx(total / n)


def test_what_is_drawn_from_probabilities_is_calibrated():
    logits, labels = drawn(1.0)
    assert ece(softmax(logits, axis=1), labels) < 0.01
    assert ece(softmax(logits * 4, axis=1), labels) > 0.1


def test_reliability_counts_every_trial_once():
    probabilities = np.array([[1.0, 0.0], [0.95, 0.05], [0.9, 0.1], [0.5, 0.5]])
    rows = reliability(probabilities, np.array([0, 1, 0, 1]))
    assert [(row["bin"], row["n"], row["accuracy"]) for row in rows] == [(5, 1, 0.0), (9, 1, 1.0), (10, 2, 0.5)]
    assert rows[-1]["confidence"] == pytest.approx(0.975)


class TestMeasure:
    @pytest.fixture
    def scores(self, tmp_path):
        trials = made_trials(variants=("clean", "noise"), spread=6)
        for test in ("en", "de"):
            of_test = trials.where((trials.split == "eval") & (trials.language == test))
            rows = [
                dict(zip(SCORES_COLUMNS, (utterance, variant, source, source), strict=True))
                for utterance, variant, source in zip(of_test.utterance, of_test.variant, of_test.source, strict=True)
            ]
            write_table(tmp_path / f"{test}.tsv", SCORES_COLUMNS, rows)
        return trials, tmp_path

    def test_tables(self, scores):
        trials, folder = scores
        cells = [("mono", "en"), ("mono", "de"), ("pooled", "de")]
        calibration, bins = measure(MODEL, cells, folder, trials, 2.0)
        write_table(folder / "calibration.tsv", CALIBRATION_COLUMNS, calibration)
        write_table(folder / "reliability.tsv", RELIABILITY_COLUMNS, bins)
        found = [(row["protocol"], row["test"], row["variant"], row["n_trials"]) for row in calibration]
        assert found == [(*cell, variant, n) for cell in cells for variant, n in (("all", 90), ("clean", 45))]
        clean = trials.known.where(trials.known.language == "de")
        assert calibration[3]["nll_before"] == pytest.approx(
            log_loss(clean.label, softmax(clean.logits, axis=1), labels=[0, 1, 2])
        )
        assert calibration[3]["ece_after"] == ece(softmax(clean.logits / 2, axis=1), clean.label)
        for stage in ("before", "after"):
            of_stage = [row for row in bins if row["stage"] == stage and row["protocol"] == "pooled"]
            assert sum(row["n"] for row in of_stage) == 90
            assert {row["variant"] for row in of_stage} == {"all"}

    def test_a_trial_without_embedding_is_refused(self, scores):
        trials, folder = scores
        with pytest.raises(UserError, match="has no embedding"):
            measure(MODEL, [("mono", "de")], folder, trials.where(trials.language == "en"), 1.0)
