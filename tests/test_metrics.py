import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from srctrace import metrics
from srctrace.errors import UserError
from srctrace.metrics import Trials, bootstrap_interval, collect, evaluate, measure, read_trials, summarise
from srctrace.tables import read_table, write_table

SOURCES = ("bark", "tacotron2", "vits", "xtts")
SPLIT_COLUMNS = ("split", "utterance", "language", "source", "speaker", "sentence", "seen_speaker")
MODEL = {"corpus": "c", "protocol": "mono", "system": "lfcc-resnet18", "seed": 1, "train": "de"}

predictions = st.lists(st.tuples(st.sampled_from(SOURCES), st.sampled_from(SOURCES)), min_size=1, max_size=60)


def some_trials(n: int, accuracy: float, speakers: int = 0, variants: tuple[str, ...] = ("clean",)) -> Trials:
    rng = np.random.default_rng(0)
    rows = []
    for index in range(n):
        label = SOURCES[index % len(SOURCES)]
        for variant in variants:
            right = rng.random() < accuracy
            predicted = label if right else SOURCES[(index + rng.integers(1, 4)) % len(SOURCES)]
            rows.append((f"u{index}", f"s{index % speakers}" if speakers else "", variant, label, predicted))
    return Trials.of(rows)


class TestEvaluate:
    @given(predictions)
    def test_agrees_with_scikit_learn(self, pairs):
        labels, predicted = zip(*pairs, strict=True)
        present = sorted(set(labels))
        found = evaluate(labels, predicted, SOURCES)
        assert found.macro_f1 == pytest.approx(
            f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
        )
        # scikit-learn warns of classes that are predicted without trials, and leaves them out as we do
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONWARNINGS", "ignore")
            recalls = [
                np.mean([p == label for t, p in pairs if t == label]) for label in present
            ]
        assert found.balanced_accuracy == pytest.approx(np.mean(recalls))
        precision, recall, f1, support = precision_recall_fscore_support(
            labels, predicted, labels=SOURCES, zero_division=0
        )
        np.testing.assert_allclose(found.precision, precision)
        np.testing.assert_allclose(found.recall, recall)
        np.testing.assert_allclose(found.f1, f1)
        np.testing.assert_array_equal(found.trials, support)
        np.testing.assert_array_equal(found.confusion, confusion_matrix(labels, predicted, labels=SOURCES))
