"""Tests of differences between systems: against plain loops, against known truths, and against chance."""

from itertools import product

import numpy as np
import pytest

from srctrace import grid
from srctrace.metrics import macro_f1
from srctrace.protocol import COLUMNS as SPLIT_COLUMNS
from srctrace.rng import generator
from srctrace.significance import COLUMNS, Sample, compare, difference, holm, trial_weights
from srctrace.tables import write_table

SOURCES = ("bark", "vits", "xtts")
LANGUAGES = ("de", "fr")
SEEDS = (1, 2, 3)


def config(systems=("a", "b"), seeds=SEEDS, languages=LANGUAGES) -> dict:
    return {
        "corpus": {"name": "c", "languages": list(languages)},
        "protocols": ["mono"],
        "systems": list(systems),
        "seeds": list(seeds),
    }


def write_results(folder, run: dict, right, speakers: int = 6, sentences: int = 6, variants=("clean", "noise")) -> None:
    """Splits and scores in which `right(system, seed, train, row, variant)` says whether a trial is.

    Every speaker says every sentence in every source.
    """
    for language in run["corpus"]["languages"]:
        rows = [
            dict.fromkeys(SPLIT_COLUMNS, "")
            | {"split": "eval", "utterance": f"{language}-{source}-{speaker}-{sentence}", "language": language}
            | {"source": source, "speaker": f"s{speaker}", "sentence": f"t{sentence}", "origin": "given"}
            for source, speaker, sentence in product(SOURCES, range(speakers), range(sentences))
        ]
        write_table(folder / "splits" / f"{language}.tsv", SPLIT_COLUMNS, rows)
        for system, seed, train in product(run["systems"], run["seeds"], run["corpus"]["languages"]):
            scored = []
            for row, variant in product(rows, variants):
                slip = 0 if right(system, seed, train, row, variant) else 1
                predicted = SOURCES[(SOURCES.index(row["source"]) + slip) % len(SOURCES)]
                scored.append(
                    {"utterance": row["utterance"], "variant": variant, "label": row["source"], "predicted": predicted}
                    | {f"p_{name}": float(name == predicted) for name in SOURCES}
                )
            path = folder / "models" / grid.Model(system, train, seed).folder / "scores" / f"{language}.tsv"
            write_table(path, list(scored[0]), scored)


def chance_of(**rates: float):
    """Right with a rate that depends on the system; independent of all else."""

    def right(system, seed, train, row, variant) -> bool:
        return generator("test", system, seed, train, row["utterance"], variant).random() < rates[system]

    return right


def test_a_clear_difference_is_found_and_none_is_not(tmp_path):
    run = config(systems=("a", "b", "c"))
    write_results(tmp_path, run, chance_of(a=0.95, b=0.7, c=0.7))
    rows = compare(run, "mono", tmp_path, 2000)
    assert [set(row) for row in rows] == [set(COLUMNS)] * (2 * 2 * 3)  # groups, variants, pairs
    for row in rows:
        assert row["low"] < row["difference"] < row["high"]
        assert row["p"] <= row["p_holm"]
        if row["system_a"] == "a":
            assert row["p_holm"] < 0.02
            assert row["low"] > 0
        else:
            assert row["p_holm"] > 0.05
            assert row["low"] < 0 < row["high"]


def test_values_are_the_means_of_macro_f1(tmp_path):
    run = config()
    right = chance_of(a=0.8, b=0.6)
    write_results(tmp_path, run, right, speakers=3, sentences=3)
    row = next(row for row in compare(run, "mono", tmp_path, 200) if row["group"] == "cross-lingual")
    expected = []
    for seed, (train, test) in product(SEEDS, (("de", "fr"), ("fr", "de"))):
        labels, predicted = [], []
        for source, speaker, sentence in product(SOURCES, range(3), range(3)):
            trial = {"utterance": f"{test}-{source}-{speaker}-{sentence}"}
            slip = 0 if right("a", seed, train, trial, "clean") else 1
            labels.append(source)
            predicted.append(SOURCES[(SOURCES.index(source) + slip) % 3])
        expected.append(macro_f1(labels, predicted))
    assert row["variant"] == "clean"
    assert row["n_cells"] == 2
    assert row["macro_f1_a"] == pytest.approx(np.mean(expected))


def test_with_fewer_than_three_seeds_or_two_systems_nothing_is_said(tmp_path):
    assert compare(config(seeds=(1, 2)), "mono", tmp_path) == []
    assert compare(config(systems=("a",)), "mono", tmp_path) == []


def test_neither_the_order_of_systems_nor_that_of_seeds_matters(tmp_path):
    run = config()
    write_results(tmp_path, run, chance_of(a=0.8, b=0.7))
    ahead = compare(run, "mono", tmp_path, 1000)
    behind = compare(config(systems=("b", "a"), seeds=SEEDS), "mono", tmp_path, 1000)
    for one, other in zip(ahead, behind, strict=True):
        assert one["difference"] == pytest.approx(-other["difference"])
        assert one["p"] == pytest.approx(other["p"], rel=1e-6)
        assert (one["low"], one["high"]) == (pytest.approx(-other["high"]), pytest.approx(-other["low"]))
    assert compare(run, "mono", tmp_path, 1000) == ahead


def test_replicates_are_those_of_plain_loops(tmp_path):
    """One cell, two systems: every replicate counted trial by trial."""
    run = config(languages=("de",))
    right = chance_of(a=0.8, b=0.5)
    write_results(tmp_path, run, right, speakers=3, sentences=2, variants=("clean",))
    rows = [
        {"utterance": f"de-{source}-{speaker}-{sentence}", "language": "de", "source": source}
        | {"speaker": f"s{speaker}", "sentence": f"t{sentence}"}
        for source, speaker, sentence in product(SOURCES, range(3), range(2))
    ]
    replicates = 40
    weights = trial_weights(rows, range(replicates))
    samples = {}
    for system in run["systems"]:
        found = np.zeros((3, replicates))
        values = np.zeros(3)
        for at, seed in enumerate(SEEDS):
            said = []
            for row in rows:
                slip = 0 if right(system, seed, "de", row, "clean") else 1
                said.append(SOURCES[(SOURCES.index(row["source"]) + slip) % 3])
            values[at] = macro_f1([row["source"] for row in rows], said)
            for replicate in range(replicates):
                f1 = []
                total = {
                    source: sum(w[replicate] for w, r in zip(weights, rows, strict=True) if r["source"] == source)
                    for source in SOURCES
                }
                for source in SOURCES:
                    hits = predicted = 0.0
                    for weight, row, guess in zip(weights, rows, said, strict=True):
                        share = weight[replicate] * 6 / total[row["source"]]
                        hits += share * (guess == row["source"] == source)
                        predicted += share * (guess == source)
                    f1.append(2 * hits / (6 + predicted))
                found[at, replicate] = np.mean(f1)
        samples[system] = Sample(values, found)
    expected = difference(samples["a"], samples["b"], 3)
    row = next(row for row in compare(run, "mono", tmp_path, replicates) if row["variant"] == "clean")
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def rows_of(*trials: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"utterance": f"u{index}", "language": "de", "speaker": speaker, "sentence": sentence}
        for index, (speaker, sentence) in enumerate(trials)
    ]


def test_what_belongs_together_has_one_weight():
    rows = rows_of(("x", "1"), ("x", "2"), ("y", "1"), ("y", "3"), ("", "3"), ("", ""), ("", ""), ("x", ""))
    weights = trial_weights(rows, range(500)).astype(float)
    assert weights.mean() == pytest.approx(1, abs=0.1)
    speaker_x = weights[1]  # sentence 2 is said by x alone
    np.testing.assert_allclose(weights[7], speaker_x)
    first = weights[0] / speaker_x  # sentence 1
    np.testing.assert_allclose(weights[2] / first, weights[3], rtol=1e-4)  # y alone: 3 has no other known speaker
    correlation = np.corrcoef(weights)
    assert abs(correlation[5, 6]) < 0.15  # neither is known: utterances
    assert abs(correlation[4, 3]) < 0.15


def test_weights_are_the_same_in_every_cell_and_chunk():
    rows = rows_of(("x", "1"), ("y", "1"), ("x", "2"))
    whole = trial_weights(rows, range(1000, 1400))
    np.testing.assert_array_equal(trial_weights(rows[::-1], range(1000, 1400))[::-1], whole)
    assert not np.array_equal(trial_weights(rows, range(0, 400)), whole)


def test_pairing_counts(tmp_path):
    """Hard speakers are hard for both systems: one that is a little better everywhere is told apart all the same."""

    def right(system, seed, train, row, variant) -> bool:
        hard = generator("hard", row["speaker"]).random() * 0.6
        luck = generator("luck", seed, train, row["utterance"], variant).random()
        return luck > hard + (0.06 if system == "b" else 0)

    run = config(languages=("de",))
    write_results(tmp_path, run, right, speakers=8, sentences=8)
    row = next(row for row in compare(run, "mono", tmp_path, 2000) if row["variant"] == "all")
    own = np.ptp([row["low"], row["high"]])
    assert row["p"] < 0.02
    assert own < 0.1  # the systems themselves vary far more over speakers


@pytest.mark.parametrize(("seeds", "clusters"), [(3, 6), (3, 30), (5, 12)])
def test_where_nothing_differs_little_is_found(seeds, clusters):
    """Means over clusters and seeds, drawn anew many times: at most a few more than 5 % are told apart."""
    rng = np.random.default_rng(clusters)
    rejected, trials = 0, 300
    weights = rng.standard_exponential((clusters, 400))
    weights /= weights.sum(axis=0)
    for _ in range(trials):
        shared = rng.normal(0, 0.05, clusters)
        samples = []
        for _ in range(2):
            own = shared + rng.normal(0, 0.03, clusters) + rng.normal(0, 0.02, (seeds, 1))
            samples.append(Sample(own.mean(axis=1), own @ weights))
        rejected += difference(*samples, clusters)["p"] < 0.05
    assert rejected / trials < 0.09


def test_holm_is_by_the_book():
    """The example of Holm's paper's kind: sorted p times what is left, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_equal_systems_are_equal(tmp_path):
    run = config()
    write_results(tmp_path, run, lambda *_: True)
    assert {(row["difference"], row["p"]) for row in compare(run, "mono", tmp_path, 100)} == {(0.0, 1.0)}
