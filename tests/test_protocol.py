"""Splits: what is dealt to whom, and the leaks that are refused."""

from collections import defaultdict

import pytest

from srctrace.errors import UserError
from srctrace.grid import BONA_FIDE, Condition
from srctrace.manifest import COLUMNS
from srctrace.protocol import SplitOptions, assign, read_split, refuse_leaks, select, write_conditions
from srctrace.tables import write_table

SOURCES = ["a", "b"]


def corpus(speakers: int = 6, texts: int = 8, languages=("en", "de")) -> list[dict[str, str]]:
    """Every speaker says every text in every source."""
    return [
        {
            "utterance": f"{language}/{source}/s{speaker}-t{text}",
            "path": f"{language}/{source}/s{speaker}-t{text}.wav",
            "language": language,
            "source": source,
            "speaker": f"s{speaker}",
            "text": f"{language}-t{text}",
            "sentence": f"{language}-t{text}-{speaker}",
            "split": "",
        }
        for language in languages
        for source in SOURCES
        for speaker in range(speakers)
        for text in range(texts)
    ]


def bare(count: int = 20) -> list[dict[str, str]]:
    """Neither speakers nor texts are known."""
    return [
        dict.fromkeys(COLUMNS, "")
        | {"utterance": f"en/{s}/{i}", "path": f"en/{s}/{i}.wav", "language": "en", "source": s}
        for s in SOURCES
        for i in range(count)
    ]


def test_real_speech_serves_no_choice():
    """Whatever the other out-of-set sources are, and also where splits are given: it is in eval."""
    names = ["c", "d", BONA_FIDE]
    unknown = [row | {"source": name, "utterance": f"{name}/{row['utterance']}"} for name in names for row in bare(4)]
    given = [row | {"split": "dev" if row["source"] != BONA_FIDE else ""} for row in unknown]
    known = [row | {"split": split} for row, split in zip(bare(3), 2 * ["train", "dev", "eval"], strict=True)]
    for rows, options in ((bare() + unknown, SplitOptions()), (known + given, SplitOptions(origin="given"))):
        dealt = assign(rows, SOURCES, options, names)
        assert {row["split"] for row in dealt if row["source"] == BONA_FIDE} == {"eval-unknown"}
    assert {
        row["split"] for row in assign(bare() + unknown, SOURCES, SplitOptions(), names) if row["source"] in "cd"
    } == {
        "dev-unknown",
        "eval-unknown",
    }


def test_texts_and_unseen_speakers_are_kept_apart():
    rows = assign(corpus(), SOURCES, SplitOptions(unseen_speakers=0.34))
    texts = defaultdict(set)
    for row in rows:
        texts[row["split"]].add(row["sentence"].rsplit("-", 1)[0])
    assert not texts["train"] & texts["dev"]
    assert not texts["train"] & texts["eval"]
    assert not texts["dev"] & texts["eval"]
    trained = {row["speaker"] for row in rows if row["split"] != "eval"}
    unseen = {row["speaker"] for row in rows if row["seen_speaker"] == "no"}
    seen_in_eval = {row["speaker"] for row in rows if row["split"] == "eval" and row["seen_speaker"] == "yes"}
    assert len(unseen) == 2
    assert not unseen & trained
    assert seen_in_eval == trained
    for language in ("en", "de"):  # a speaker that is unseen is unseen in every language
        assert {r["speaker"] for r in rows if r["language"] == language and r["seen_speaker"] == "no"} == unseen
    refuse_leaks(rows, "test")


def test_seen_means_that_a_training_row_has_the_speaker():
    """150 speakers with one utterance each: most speakers of the eval split were never trained on."""
    rows = [row | {"speaker": f"s{i}"} for i, row in enumerate(bare(75))]
    dealt = assign(rows, SOURCES, SplitOptions(unseen_speakers=0.2))
    trained = {row["speaker"] for row in dealt if row["split"] == "train"}
    assert {row["seen_speaker"] for row in dealt if row["split"] == "eval"} == {"no"}
    assert {row["seen_speaker"] for row in dealt if row["speaker"] in trained} == {"yes"}
    refuse_leaks(dealt, "test")
    assert len(dealt) == len(rows)  # where texts are not known, none need be left out


def test_the_same_sentence_id_in_two_languages_is_two_sentences():
    rows = [row | {"text": row["text"][3:], "sentence": row["sentence"][3:]} for row in corpus()]
    refuse_leaks(assign(rows, SOURCES, SplitOptions(unseen_speakers=0)), "test")


def test_assignment_is_addressed_not_ordered():
    manifest = corpus()
    forward = assign(manifest, SOURCES, SplitOptions(seed=3))
    backward = assign(manifest[::-1], SOURCES, SplitOptions(seed=3))
    assert sorted(map(str, forward)) == sorted(map(str, backward))
    assert sorted(map(str, forward)) != sorted(map(str, assign(manifest, SOURCES, SplitOptions(seed=4))))


def test_without_speakers_and_texts_every_source_is_in_every_split():
    rows = assign(bare(), SOURCES, SplitOptions())
    assert len(rows) == 40
    assert {row["seen_speaker"] for row in rows} == {""}
    for source in SOURCES:
        counts = defaultdict(int)
        for row in rows:
            counts[row["split"]] += row["source"] == source
        assert counts == {"train": 12, "dev": 3, "eval": 5}


def test_out_of_set_sources_have_splits_of_their_own():
    manifest = corpus() + [
        row | {"source": name, "utterance": f"{name}/{row['utterance']}"} for name in "xyz" for row in corpus()[:9]
    ]
    rows = assign(manifest, SOURCES, SplitOptions(), ["x", "y", "z"])
    splits = defaultdict(set)
    for row in rows:
        splits[row["source"]].add(row["split"])
    assert all(splits[source] == {"train", "dev", "eval"} for source in SOURCES)
    assert sorted(map(sorted, (splits[name] for name in "xyz"))) == [
        ["dev-unknown"],
        ["eval-unknown"],
        ["eval-unknown"],
    ]
    assert [row for row in rows if row["source"] in SOURCES] == assign(corpus(), SOURCES, SplitOptions())
    refuse_leaks(rows, "test")  # they may say what the others say in training
    assert {row["source"] for row in assign(corpus(), ["a"], SplitOptions())} == {"a"}
    one = assign(manifest, SOURCES, SplitOptions(), ["x"])
    assert {row["split"] for row in one if row["source"] == "x"} == {"eval-unknown"}


def given() -> list[dict[str, str]]:
    """As lists may have it: one text in two splits, and an utterance in none."""
    splits = ("train", "train", "dev", "eval", "train", "train", "train", "")
    return [row | {"split": splits[int(row["text"][-1])]} for row in corpus()]


def test_given_splits_are_kept_and_their_leaks_are_the_audit_s(tmp_path):
    manifest = given()
    manifest[0]["sentence"] = manifest[3]["sentence"]  # train and eval
    rows = assign(manifest, SOURCES, SplitOptions(origin="given"))
    assert {row["utterance"]: row["split"] for row in rows} == {
        row["utterance"]: row["split"] for row in manifest if row["split"]
    }
    assert {row["seen_speaker"] for row in rows} == {"yes"}
    write_conditions(rows, [Condition("en", ("en",))], tmp_path)
    assert len(read_split(tmp_path / "en.tsv")) == len(rows) / 2
    write_table(tmp_path / "dealt.tsv", rows[0].keys(), [row | {"origin": "dealt"} for row in rows])
    with pytest.raises(UserError, match="leak"):
        read_split(tmp_path / "dealt.tsv")


def test_splits_that_are_not_given_are_asked_for():
    with pytest.raises(UserError, match="says of no utterance which split"):
        assign(corpus(), SOURCES, SplitOptions(origin="given"))
    with pytest.raises(UserError, match="no train utterance of source 'c'"):
        assign(given(), [*SOURCES, "c"], SplitOptions(origin="given"))


def test_seen_and_unseen_speakers_are_by_the_languages_trained_on():
    """s0 speaks German only, s1 English only; the others both."""
    manifest = [row for row in given() if (row["language"], row["speaker"]) not in (("en", "s0"), ("de", "s1"))]
    rows = assign(manifest, SOURCES, SplitOptions(origin="given"))

    def speakers(name: str, languages: tuple[str, ...], kind: str, seen_by: tuple[str, ...]) -> set[str]:
        found = select(rows, Condition(name, languages, kind, seen_by))
        assert {row["split"] for row in found} <= {"eval"}
        assert {row["seen_speaker"] for row in found} <= {"yes" if kind == "seen" else "no"}
        return {row["speaker"] for row in found}

    assert speakers("x", ("en",), "seen", ("en",)) == {"s1", "s2", "s3", "s4", "s5"}
    assert speakers("x", ("en",), "unseen", ("en",)) == set()
    assert speakers("x", ("en",), "seen", ("de",)) == {"s2", "s3", "s4", "s5"}
    assert speakers("x", ("en",), "unseen", ("de",)) == {"s1"}
    assert speakers("x", ("de",), "unseen", ("en",)) == {"s0"}


def test_a_speaker_of_dev_alone_is_neither_seen_nor_unseen():
    manifest = [row for row in given() if row["speaker"] != "s0" or row["split"] in ("dev", "eval")]
    rows = assign(manifest, SOURCES, SplitOptions(origin="given"))
    for kind in ("seen", "unseen"):
        assert "s0" not in {row["speaker"] for row in select(rows, Condition("x", ("en",), kind, ("en",)))}


def test_a_condition_without_trials_is_named(tmp_path):
    rows = assign(corpus(), SOURCES, SplitOptions(unseen_speakers=0))
    with pytest.raises(UserError, match="'nobody': no eval utterance of speakers unseen in training in en"):
        write_conditions(rows, [Condition("nobody", ("en",), "unseen", ("en", "de"))], tmp_path)


def test_a_source_missing_in_a_split_is_named():
    manifest = [row for row in bare() if row["source"] == "a" or row["utterance"] in ("en/b/0", "en/b/1")]
    with pytest.raises(UserError, match=r"'en' has no train utterance of source 'b'"):
        assign(manifest, SOURCES, SplitOptions())


def planted_leak(kind: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    rows = assign(corpus(), SOURCES, SplitOptions())
    digests = {row["utterance"]: row["utterance"] for row in rows}
    train = next(row for row in rows if row["split"] == "train")
    unseen = next(row for row in rows if row["seen_speaker"] == "no")
    if kind == "utterance":
        rows.append(unseen | {"utterance": train["utterance"]})
    elif kind == "sentence":
        unseen["sentence"] = train["sentence"]
    elif kind == "audio":
        digests[unseen["utterance"]] = digests[train["utterance"]]
    elif kind == "speaker":
        unseen["speaker"] = train["speaker"]
    return rows, digests


@pytest.mark.parametrize("kind", ["utterance", "sentence", "audio", "speaker"])
def test_planted_leaks_are_refused(kind):
    rows, digests = planted_leak(kind)
    with pytest.raises(UserError, match=f"leak.*{kind}"):
        refuse_leaks(rows, "here", digests)


def test_conditions_round_trip_and_are_checked(tmp_path):
    rows = assign(corpus(), SOURCES, SplitOptions())
    write_conditions(rows, [Condition("en", ("en",)), Condition("both", ("en", "de"))], tmp_path)
    assert read_split(tmp_path / "both.tsv") == rows
    assert {row["language"] for row in read_split(tmp_path / "en.tsv")} == {"en"}
    write_table(tmp_path / "bad.tsv", rows[0].keys(), [rows[0] | {"split": "test"}])
    with pytest.raises(UserError, match="unknown split 'test'"):
        read_split(tmp_path / "bad.tsv")
