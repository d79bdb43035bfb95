from itertools import product

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import StandardScaler

from srctrace.baselines import METADATA, lfcc_statistics, matrix, metadata
from srctrace.errors import UserError
from srctrace.metrics import METRICS_COLUMNS
from srctrace.store import open_store
from tests.random_corpus import LANGUAGES, SOURCES, RandomCorpus, edit, make


@pytest.fixture
def corpus(tmp_path) -> RandomCorpus:
    return make(tmp_path)


def cells(corpus: RandomCorpus, systems: dict) -> dict:
    rows = matrix(systems, corpus.rows, list(product(LANGUAGES, repeat=2)), "synthetic", "mono")
    return {(row["system"], row["train"], row["test"]): row for row in rows}


def test_lfcc_statistics_are_of_the_clean_variant_over_time(corpus):
    vectors = lfcc_statistics(corpus.features("de"))
    store = open_store(corpus.features("de"))
    clean = [index for index, row in enumerate(store.rows) if row["variant"] == "clean"]
    expected = np.concatenate([store.array[clean].mean(axis=2), store.array[clean].std(axis=2)], axis=1)
    np.testing.assert_allclose(list(vectors.values()), expected, atol=1e-6)
    assert list(vectors) == [row["utterance"] for row in corpus.rows["de"]]


def test_metadata_is_in_its_order(corpus):
    vector = next(iter(metadata(corpus.waves("fr")).values()))
    assert vector[METADATA.index("channels")] == 1
    assert vector[METADATA.index("sample_rate")] in (22050, 24000)


def test_metadata_refuses_what_is_not_a_number(corpus):
    edit(corpus.waves("fr"), lambda row: {"rms": "loud"})
    with pytest.raises(UserError, match="loud"):
        metadata(corpus.waves("fr"))


def test_matrix_is_what_scikit_learn_says(corpus):
    edit(corpus.waves("de"), lambda row: {"rms": f"{float(row['rms']) + 3}"}, lambda row: "vits" in row["utterance"])
    vectors = {u: v for language in LANGUAGES for u, v in metadata(corpus.waves(language)).items()}
    found = cells(corpus, {"metadata": vectors})
    assert set(found) == {("metadata", train, test) for train in LANGUAGES for test in LANGUAGES}

    def data(language: str, split: str):
        rows = [row for row in corpus.rows[language] if row["split"] == split]
        return np.stack([vectors[row["utterance"]] for row in rows]), [row["source"] for row in rows]

    for (_, train, test), row in found.items():
        (x, y), (tested, labels) = data(train, "train"), data(test, "eval")
        scaler = StandardScaler().fit(x)
        predicted = LogisticRegression(max_iter=5000).fit(scaler.transform(x), y).predict(scaler.transform(tested))
        assert row["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
        assert row["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
        assert row["macro_f1_low"] < row["macro_f1"] < row["macro_f1_high"]
        assert row["n_trials"] == len(labels)
        assert set(row) == set(METRICS_COLUMNS)
        assert (row["variant"], row["seed"]) == ("clean", 0)


def test_sources_not_in_training_are_left_out(corpus):
    corpus.rows["de"] = [row for row in corpus.rows["de"] if row["source"] != "vits"]
    found = cells(corpus, {"metadata": {u: v for lang in LANGUAGES for u, v in metadata(corpus.waves(lang)).items()}})
    assert found["metadata", "de", "fr"]["n_trials"] == 2 * 24
    assert found["metadata", "fr", "fr"]["n_trials"] == 3 * 24


def test_condition_without_train_rows_is_tested_only(corpus):
    corpus.rows["de"] = [row for row in corpus.rows["de"] if row["split"] == "eval"]
    vectors = {u: v for language in LANGUAGES for u, v in metadata(corpus.waves(language)).items()}
    assert set(cells(corpus, {"metadata": vectors})) == {("metadata", "fr", "de"), ("metadata", "fr", "fr")}


def test_refuses_one_source(corpus):
    corpus.rows["de"] = [row for row in corpus.rows["de"] if row["source"] == SOURCES[0]]
    with pytest.raises(UserError, match="two sources at least"):
        cells(corpus, {"metadata": metadata(corpus.waves("de"))})


def test_refuses_missing_and_broken_vectors(corpus):
    vectors = {u: v for language in LANGUAGES for u, v in metadata(corpus.waves(language)).items()}
    name = corpus.rows["de"][0]["utterance"]
    with pytest.raises(UserError, match=name):
        cells(corpus, {"metadata": {u: v for u, v in vectors.items() if u != name}})
    with pytest.raises(UserError, match="NaN"):
        cells(corpus, {"metadata": {**vectors, name: np.full(len(METADATA), np.nan)}})
