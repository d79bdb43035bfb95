from pathlib import Path

import numpy as np
import pytest

from srctrace.audit import FINDINGS_COLUMNS, audit
from srctrace.errors import UserError
from srctrace.metrics import METRICS_COLUMNS
from srctrace.store import open_store, write_store
from srctrace.tables import read_table, write_table
from tests.random_corpus import LANGUAGES, SHAPE, RandomCorpus, edit, make


@pytest.fixture
def corpus(tmp_path) -> RandomCorpus:
    return make(tmp_path)


def run(corpus: RandomCorpus, **changed) -> dict[str, list[dict[str, str]]]:
    """Findings by check."""
    out = corpus.folder / "audit"
    audit(**{**corpus.arguments(), **changed}, out=out)
    found: dict[str, list[dict[str, str]]] = {}
    for row in read_table(out / "findings.tsv", FINDINGS_COLUMNS):
        found.setdefault(row["check"], []).append(row)
    return found


def levels(found: dict) -> dict[str, set[str]]:
    return {check: {row["level"] for row in rows} for check, rows in found.items()}


def of_source(source: str):
    return lambda row: row.get("source") == source or f"-{source}-" in row["utterance"]


class TestCleanCorpus:
    def test_has_only_ok_findings(self, corpus):
        found = run(corpus)
        assert {level for check in levels(found).values() for level in check} == {"ok"}
        assert len(found["trials"]) == len(found["class balance"]) == len(LANGUAGES)
        assert len(found) == 21
        assert all(row["finding"].endswith(".") for rows in found.values() for row in rows)

    def test_writes_the_baselines(self, corpus):
        run(corpus)
        rows = read_table(corpus.folder / "audit" / "baselines.tsv", METRICS_COLUMNS)
        assert len(rows) == 2 * len(LANGUAGES) ** 2
        assert {row["system"] for row in rows} == {"lfcc-statistics", "metadata"}
        assert {(row["corpus"], row["protocol"]) for row in rows} == {("synthetic", "mono")}

    def test_same_bytes_every_time(self, corpus):
        run(corpus)
        first = [(corpus.folder / "audit" / f"{name}.tsv").read_bytes() for name in ("findings", "baselines")]
        run(corpus, cells=corpus.arguments()["cells"][::-1])
        second = [(corpus.folder / "audit" / f"{name}.tsv").read_bytes() for name in ("findings", "baselines")]
        assert first == second

    def test_without_features(self, corpus):
        found = run(corpus, features=[])
        assert "baseline: metadata" in found
        assert "baseline: lfcc-statistics" not in found


class TestShortcuts:
    def test_louder_source(self, corpus):
        for language in LANGUAGES:
            edit(
                corpus.waves(language),
                lambda row: {name: str(float(row[name]) + 15) for name in ("rms", "peak")},
                of_source("vits"),
            )
        found = run(corpus)
        assert levels(found)["shortcut: rms"] == {"warning"}
        assert "vits" in found["shortcut: rms"][0]["finding"]
        assert "AUROC of 1.00" in found["shortcut: rms"][0]["finding"]
        assert levels(found)["baseline: metadata"] == {"warning"}
        assert "2 of 2 cells clearly above chance" in found["baseline: metadata"][0]["finding"]
        assert levels(found)["shortcut: duration"] == {"ok"}
        assert levels(found)["baseline: lfcc-statistics"] == {"ok"}

    def test_spectra_that_tell_all(self, corpus):
        shift = {"bark": 0, "vits": 3, "xtts": 6}
        for language in LANGUAGES:
            store = open_store(corpus.features(language))
            rows = [{name: row[name] for name in ("utterance", "variant", "split")} for row in store.rows]
            records = [np.full(SHAPE, shift[row["utterance"].split("-")[1]], np.float32) for row in rows]
            shifted = [record + store.array[index] for index, record in enumerate(records)]
            write_store(corpus.features(language), list(rows[0]), list(zip(rows, shifted, strict=True)))
        found = run(corpus)
        assert levels(found)["baseline: lfcc-statistics"] == {"note"}
        assert "1.00 where train and test condition are the same" in found["baseline: lfcc-statistics"][0]["finding"]

    @pytest.mark.parametrize(("rate", "level"), [("44100", "note"), ("8000", "warning")])
    def test_sample_rate_of_its_own(self, corpus, rate, level):
        for language in LANGUAGES:
            edit(corpus.waves(language), lambda row: {"sample_rate": rate}, of_source("bark"))
        found = run(corpus)
        assert levels(found)["native sample rate"] == {level}
        assert f"bark ({rate} Hz)" in found["native sample rate"][0]["finding"]
        assert levels(found)["shortcut: sample_rate"] == {"warning"}

    def test_speakers_of_one_source(self, corpus):
        for language in LANGUAGES:
            edit(corpus.split(language), lambda row: {"speaker": f"{row['source']}-{row['speaker']}"})
        found = run(corpus)["speakers of one source"]
        assert found[0]["level"] == "warning"
        assert "18 of 18 speakers" in found[0]["finding"]


class TestLeaks:
    def test_utterance_in_two_splits(self, corpus):
        rows = corpus.rows["de"]
        write_table(corpus.split("fr"), list(rows[0]), [*corpus.rows["fr"], {**rows[0], "split": "eval"}])
        found = run(corpus)
        assert levels(found)["leak: utterance"] == {"warning"}
        assert "de-bark-train-0" in found["leak: utterance"][0]["finding"]
        assert levels(found)["leak: audio"] == {"warning"}

    def test_utterance_listed_twice(self, corpus):
        rows = corpus.rows["de"]
        write_table(corpus.split("de"), list(rows[0]), [*rows, rows[0]])
        assert "listed more than once: de-bark-train-0 in de" in run(corpus)["leak: utterance"][0]["finding"]

    def test_same_audio_across_languages(self, corpus):
        edit(corpus.waves("de"), lambda row: {"digest": "same"}, lambda row: row["utterance"] == "de-bark-train-0")
        edit(corpus.waves("fr"), lambda row: {"digest": "same"}, lambda row: row["utterance"] == "fr-vits-eval-0")
        found = run(corpus)
        assert "fr-vits-eval-0 (eval) and de-bark-train-0 (train)" in found["leak: audio"][0]["finding"]
        assert levels(found)["duplicate audio"] == {"warning"}
        assert "(1 with more than one source)" in found["duplicate audio"][0]["finding"]
        assert levels(found)["leak: utterance"] == levels(found)["leak: path"] == {"ok"}

    def test_same_path(self, corpus):
        edit(
            corpus.folder / "manifest.tsv",
            lambda row: {"path": "./de-bark-train-0.wav"},
            lambda row: row["utterance"] == "de-bark-eval-0",
        )
        assert levels(run(corpus))["leak: path"] == {"warning"}

    def test_same_sentence(self, corpus):
        eval_three = lambda row: row["split"] == "eval" and row["sentence"] == "eval-3"  # noqa: E731
        edit(corpus.split("de"), lambda row: {"sentence": "train-5"}, eval_three)
        found = run(corpus)
        assert levels(found)["leak: sentence"] == {"warning"}
        assert found["leak: sentence"][0]["finding"].startswith("3 of 444 utterances")

    def test_same_sentence_id_in_another_language_is_no_leak(self, corpus):
        edit(corpus.split("de"), lambda row: {"sentence": "x"}, lambda row: row["sentence"] == "train-0")
        edit(corpus.split("fr"), lambda row: {"sentence": "x"}, lambda row: row["sentence"] == "eval-0")
        assert levels(run(corpus))["leak: sentence"] == {"ok"}

    def test_unseen_speaker_in_training(self, corpus):
        edit(corpus.split("de"), lambda row: {"speaker": "s5"}, lambda row: row["sentence"] == "train-0")
        found = run(corpus)["leak: unseen speaker"]
        assert found[0]["level"] == "warning"
        assert "1 of 2 speakers marked unseen" in found[0]["finding"]


class TestDefects:
    def test_constant_audio(self, corpus):
        edit(corpus.waves("de"), lambda row: {"peak": "-100", "rms": "-100"}, lambda row: row["utterance"][-2:] == "-7")
        found = run(corpus)["constant audio"]
        assert found[0]["level"] == "warning"
        assert "9 utterances" in found[0]["finding"]

    def test_imbalance_and_few_trials(self, corpus):
        kept = [row for row in corpus.rows["de"] if row["source"] != "xtts" or row["sentence"][-1] == "3"]
        write_table(corpus.split("de"), list(kept[0]), kept)
        found = run(corpus)
        assert [row["level"] for row in found["class balance"]] == ["warning", "ok"]
        assert "at most 10.0 to 1" in found["class balance"][0]["finding"]
        assert [row["level"] for row in found["trials"]] == ["warning", "ok"]

    def test_source_missing_in_a_split(self, corpus):
        kept = [row for row in corpus.rows["de"] if (row["source"], row["split"]) != ("xtts", "eval")]
        write_table(corpus.split("de"), list(kept[0]), kept)
        assert "None of xtts in eval" in run(corpus)["class balance"][0]["finding"]

    def test_few_speakers(self, corpus):
        edit(corpus.split("de"), lambda row: {"speaker": "s0", "seen_speaker": "yes"})
        found = run(corpus)["trials"]
        assert [row["level"] for row in found] == ["note", "ok"]

    def test_unknown_speakers_and_sentences_are_said(self, corpus):
        for language in LANGUAGES:
            edit(corpus.split(language), lambda row: {"speaker": "", "seen_speaker": "", "sentence": ""})
        found = run(corpus)
        for check in ("leak: sentence", "leak: unseen speaker", "speakers of one source"):
            assert found[check][0]["level"] == "note"
            assert "Cannot be checked" in found[check][0]["finding"]


class TestRefusals:
    def test_utterance_without_audio(self, corpus):
        rows = read_table(corpus.waves("de"), [])
        write_table(corpus.waves("de"), list(rows[0]), rows[1:])
        with pytest.raises(UserError, match="de-bark-train-0"):
            run(corpus)

    def test_utterance_not_in_the_manifest(self, corpus):
        edit(corpus.folder / "manifest.tsv", lambda row: {"utterance": row["utterance"] + "x"})
        with pytest.raises(UserError, match=r"manifest\.tsv"):
            run(corpus)

    def test_unknown_split(self, corpus):
        edit(corpus.split("de"), lambda row: {"split": "test"})
        with pytest.raises(UserError, match="unknown split 'test'"):
            run(corpus)

    def test_leaves_nothing_half_written(self, corpus):
        with pytest.raises(UserError):
            run(corpus, manifest=Path("nowhere.tsv"))
        assert not (corpus.folder / "audit").exists()
