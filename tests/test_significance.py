"""Tests of differences between systems: against plain loops, against known truths, and against chance."""

import json
from itertools import product

import numpy as np
import pytest

from benchmarks.significance import WORLDS, rejected
from srctrace import grid
from srctrace.cli import main
from srctrace.errors import UserError
from srctrace.metrics import macro_f1
from srctrace.protocol import COLUMNS as SPLIT_COLUMNS
from srctrace.rng import generator
from srctrace.significance import COLUMNS, FACTORS, Sample, clusters_of, compare, difference, draw_weights, holm
from srctrace.tables import read_table, write_table

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


@pytest.mark.parametrize("run", [config(seeds=(1, 2)), config(systems=("a",))], ids=["two seeds", "one system"])
def test_with_fewer_than_three_seeds_or_two_systems_nothing_is_said(tmp_path, run):
    (tmp_path / "config.json").write_text(json.dumps(run))
    command = ["compare", "--config", tmp_path / "config.json", "--protocol", "mono", "--results", tmp_path]
    assert main([*map(str, command), "--out", str(tmp_path / "differences.tsv")]) == 0
    assert (tmp_path / "differences.tsv").read_text() == "\t".join(COLUMNS) + "\n"


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
    """Two cells with the same speakers, two systems: every replicate counted trial by trial."""
    run = config()
    right = chance_of(a=0.8, b=0.5)
    write_results(tmp_path, run, right, speakers=3, sentences=2, variants=("clean",))
    replicates = 40
    clusters = {
        "speaker": lambda row: row["speaker"],
        "sentence": lambda row: f"{row['language']}\t{row['sentence']}",
        "both": lambda row: f"{row['speaker']}\t{row['language']}\t{row['sentence']}",
    }
    samples = {system: Sample(np.zeros(3), np.zeros((3, replicates))) for system in run["systems"]}
    for (train, test), system, (at, seed) in product((("de", "fr"), ("fr", "de")), samples, enumerate(SEEDS)):
        rows = [
            {"utterance": f"{test}-{source}-{speaker}-{sentence}", "language": test, "source": source}
            | {"speaker": f"s{speaker}", "sentence": f"t{sentence}"}
            for source, speaker, sentence in product(SOURCES, range(3), range(2))
        ]
        said = []
        for row in rows:
            slip = 0 if right(system, seed, train, row, "clean") else 1
            said.append(SOURCES[(SOURCES.index(row["source"]) + slip) % 3])
        samples[system].values[at] += macro_f1([row["source"] for row in rows], said) / 2
        for by, (factor, cluster) in enumerate(clusters.items()):
            drawn = {row["utterance"]: draw_weights(factor, [cluster(row)], range(replicates))[0] for row in rows}
            for replicate in range(replicates):
                weight = {utterance: float(weights[replicate]) for utterance, weights in drawn.items()}
                samples[system].replicates[by, replicate] += weighted_macro_f1(rows, said, weight) / 2 / 3
    expected = difference(samples["a"], samples["b"], {"speaker": 3, "sentence": 4, "both": 12})
    row = next(row for row in compare(run, "mono", tmp_path, replicates) if row["group"] == "cross-lingual")
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def weighted_macro_f1(rows, said, weight) -> float:
    """Of six trials a source, as they count after weighting."""
    f1 = []
    total = {source: sum(weight[row["utterance"]] for row in rows if row["source"] == source) for source in SOURCES}
    for source in SOURCES:
        hits = predicted = 0.0
        for row, guess in zip(rows, said, strict=True):
            share = weight[row["utterance"]] * 6 / total[row["source"]]
            hits += share * (guess == row["source"] == source)
            predicted += share * (guess == source)
        f1.append(2 * hits / (6 + predicted))
    return float(np.mean(f1))


def row_of(utterance: str, speaker: str, sentence: str, language: str = "de") -> dict[str, str]:
    return {"utterance": utterance, "speaker": speaker, "sentence": sentence, "language": language}


def test_what_belongs_together_is_one_cluster():
    first = clusters_of(row_of("u1", "x", "1"))
    other = clusters_of(row_of("u2", "x", "1"))  # of another source, say
    assert first == other
    same_speaker = clusters_of(row_of("u3", "x", "2"))
    assert [a == b for a, b in zip(first, same_speaker, strict=True)] == [True, False, False]
    same_sentence = clusters_of(row_of("u4", "y", "1"))
    assert [a == b for a, b in zip(first, same_sentence, strict=True)] == [False, True, False]
    elsewhere = clusters_of(row_of("u5", "x", "1", "fr"))  # ids of texts are a language's own, those of speakers not
    assert [a == b for a, b in zip(first, elsewhere, strict=True)] == [True, False, False]


def test_what_is_not_known_is_a_cluster_of_its_own():
    unknown = [
        clusters_of(row_of(f"u{index}", speaker, sentence))
        for index, (speaker, sentence) in enumerate([("", ""), ("", ""), ("x", ""), ("x", ""), ("", "1"), ("", "1")])
    ]
    by_factor = [len(set(names)) for names in zip(*unknown, strict=True)]
    assert dict(zip(FACTORS, by_factor, strict=True)) == {"speaker": 5, "sentence": 5, "both": 6}


def test_a_cluster_has_its_weights_whatever_is_drawn_beside_it():
    both = draw_weights("speaker", ["x", "y"], range(1000, 3000))
    np.testing.assert_array_equal(draw_weights("speaker", ["y", "x"], range(1000, 3000)), both[::-1])
    for other in (draw_weights("speaker", ["x"], range(2000)), draw_weights("sentence", ["x"], range(1000, 3000))):
        assert abs(np.corrcoef(both[0], other[0])[0, 1]) < 0.1
    assert both.mean() == pytest.approx(1, abs=0.1)
    assert both.var() == pytest.approx(1, abs=0.2)


def test_variance_is_that_of_speakers_and_sentences_without_counting_anything_twice():
    """Independent errors are counted once, and what speakers or sentences differ by is added."""
    draws = np.random.default_rng(0).standard_normal((3, 10_000))
    draws = (draws - draws.mean(axis=1, keepdims=True)) / draws.std(axis=1, keepdims=True)
    many = 10**6  # neither a correction for few of them, nor Student's t
    flat = Sample(np.zeros(3), np.zeros((3, 10_000)))

    def deviation(speaker: float, sentence: float, both: float, n_both: int = 2 * many) -> float:
        sample = Sample(np.full(3, 0.1), np.sqrt([[speaker], [sentence], [both]]) * draws)
        found = difference(sample, flat, {"speaker": many, "sentence": many, "both": n_both})
        return (found["high"] - found["low"]) / 2 / 1.959964

    assert deviation(2e-4, 3e-4, 1e-4) == pytest.approx(np.sqrt(4e-4), rel=1e-3)
    assert deviation(1e-4, 1e-4, 1e-4) == pytest.approx(np.sqrt(1e-4), rel=1e-3)
    assert deviation(0.5e-4, 3e-4, 1e-4) == pytest.approx(np.sqrt(3e-4), rel=1e-3)  # speakers: not less than nothing
    assert deviation(9e-4, 9e-4, 1e-4, n_both=many) == pytest.approx(np.sqrt(1e-4), rel=1e-3)  # all are the same


def test_models_that_were_scored_on_other_trials_are_refused(tmp_path):
    run = config(languages=("de",))
    write_results(tmp_path, run, chance_of(a=0.8, b=0.7))
    table = tmp_path / "models" / grid.Model("b", "de", 2).folder / "scores" / "de.tsv"
    rows = read_table(table, [])
    write_table(table, list(rows[0]), rows[1:])
    with pytest.raises(UserError, match=r"b/de/seed2/scores/de\.tsv: not the same trials as in .*a/de/seed1"):
        compare(run, "mono", tmp_path, 10)
    table.unlink()
    with pytest.raises(UserError, match="no such table"):
        compare(run, "mono", tmp_path, 10)


def test_where_all_is_clean_nothing_is_tested_twice(tmp_path):
    run = config(languages=("de",))
    write_results(tmp_path, run, chance_of(a=0.8, b=0.7), variants=("clean",))
    rows = compare(run, "mono", tmp_path, 100)
    assert [row["variant"] for row in rows] == ["clean"]
    assert rows[0]["p_holm"] == rows[0]["p"]


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


@pytest.mark.parametrize(
    ("world", "speakers", "sentences", "seeds"),
    [
        ("all a little", 6, 8, 3),
        ("speakers", 12, 4, 5),
        ("sentences", 24, 3, 3),  # 20 %, if 24 speakers alone decided the degrees of freedom
        ("seeds", 6, 4, 3),
    ],
)
def test_where_nothing_differs_little_is_found(world, speakers, sentences, seeds):
    """Test sets drawn trial by trial."""
    assert rejected(WORLDS[world], speakers, sentences, seeds, 0.0, 200) <= 0.12


def test_where_systems_differ_it_is_found():
    """Weights that multiply a speaker's by a sentence's would find it about a third as often."""
    assert rejected(WORLDS["nothing"], 6, 8, 3, 0.6, 200) > 0.5


def test_holm_is_by_the_book():
    """The example of Holm's paper's kind: sorted p times what is left, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_equal_systems_are_equal(tmp_path):
    run = config()
    write_results(tmp_path, run, lambda *_: True)
    assert {(row["difference"], row["p"]) for row in compare(run, "mono", tmp_path, 100)} == {(0.0, 1.0)}
