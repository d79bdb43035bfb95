"""Manifests: what is refused, and which sources are picked."""

import pytest

from srctrace.errors import UserError
from srctrace.manifest import (
    COLUMNS,
    build_manifest,
    new_row,
    pick_sources,
    read_manifest,
    read_sources,
    write_manifest,
    write_sources,
)
from srctrace.tables import write_table

SOURCES = ["a", "b"]


def rows_of(counts: dict[str, dict[str, int]], split: str = "") -> list[dict[str, str]]:
    """Language to source to number of utterances."""
    return [
        new_row(f"{language}/{source}/{split}{i}", f"{language}/{source}/{split}{i}.wav", language, source, split=split)
        for language, sources in counts.items()
        for source, count in sources.items()
        for i in range(count)
    ]


def test_manifest_round_trip(tmp_path):
    manifest = build_manifest(rows_of({"en": {"b": 3, "a": 4, "c": 5}}), SOURCES)
    assert [row["source"] for row in manifest] == ["a"] * 4 + ["b"] * 3
    write_manifest(tmp_path / "m.tsv", manifest)
    assert read_manifest(tmp_path / "m.tsv") == manifest


def test_label_map_round_trip(tmp_path):
    write_sources(tmp_path / "s.tsv", ["b", "a"], ["c"])
    assert read_sources(tmp_path / "s.tsv") == (["b", "a"], ["c"])
    write_sources(tmp_path / "s.tsv", ["b"], ["c"])
    with pytest.raises(UserError, match=r"1 in-set source"):
        read_sources(tmp_path / "s.tsv")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda rows: rows.append(rows[0]), "stands in 2 rows"),
        (lambda rows: rows[0].update(path=rows[1]["path"]), "path .* stands in 2 rows"),
        (lambda rows: [row.update(language="e/n") for row in rows], "use letters"),
    ],
)
def test_bad_manifests(break_it, message):
    rows = rows_of({"en": {"a": 20, "b": 20}})
    break_it(rows)
    with pytest.raises(UserError, match=message):
        build_manifest(rows, SOURCES)


def test_missing_manifest_column(tmp_path):
    write_table(tmp_path / "m.tsv", COLUMNS[:-1], rows_of({"en": {"a": 3}}))
    with pytest.raises(UserError, match="no column split"):
        read_manifest(tmp_path / "m.tsv")


def test_sources_of_every_language_are_picked_in_sorted_order():
    rows = rows_of({"en": {"c": 3, "a": 3, "b": 3}, "de": {"a": 9, "c": 4, "d": 3}})
    assert pick_sources(rows, ["en", "de"], []) == (["a", "c"], [])
    assert pick_sources(rows, ["en", "de"], ["c", "a"], ["b"]) == (["c", "a"], ["b"])  # labels are in the order given
    assert pick_sources(rows, ["en"], [], ["b"]) == (["a", "c"], ["b"])


def test_given_splits_say_what_is_trained_on():
    """A source need not be in every language; what is in dev or eval alone is out-of-set."""
    rows = rows_of({"en": {"a": 3}, "de": {"b": 1}}, "train") + rows_of(
        {"en": {"a": 2, "c": 1}, "de": {"d": 1}}, "eval"
    )
    assert pick_sources(rows, ["en", "de"], []) == (["a", "b"], ["c", "d"])
    assert pick_sources(rows, ["en", "de"], [], ["d"]) == (["a", "b"], ["d"])
    with pytest.raises(UserError, match=r"source\(s\) c: in no train list"):
        pick_sources(rows, ["en", "de"], ["a", "c"])


@pytest.mark.parametrize(
    ("sources", "out_of_set", "message"),
    [
        ([], [], r"(?s)1 source\(s\) in all of en, de, .*en: a, b\n  de: a, c"),
        (["a", "x"], [], r"(?s)no utterance of in-set source 'x'; found:\n  en: a, b\n  de: a, c"),
        (["a", "b"], ["x"], "no utterance of out-of-set source 'x'"),
        (["a", "b"], ["b"], "b cannot be in-set and out-of-set"),
        (["a", "b"], [], r"(?s)'de' has 0 utterance\(s\) of source 'b'.*every language has: a; .*de: a, c"),
    ],
)
def test_choices_that_cannot_be_are_refused(sources, out_of_set, message):
    rows = rows_of({"en": {"a": 3, "b": 3}, "de": {"a": 3, "c": 3}})
    with pytest.raises(UserError, match=message):
        pick_sources(rows, ["en", "de"], sources, out_of_set)


def test_a_source_needs_an_utterance_for_each_split():
    with pytest.raises(UserError, match=r"'en' has 2 utterance\(s\) of source 'b'"):
        pick_sources(rows_of({"en": {"a": 3, "b": 2}}), ["en"], [])


def test_real_speech_is_never_in_set():
    rows = rows_of({language: {"a": 3, "b": 3, "bona-fide": 3} for language in ("en", "de")})
    assert pick_sources(rows, ["en", "de"], []) == (["a", "b"], ["bona-fide"])
    assert pick_sources(rows, ["en", "de"], ["a", "b"]) == (["a", "b"], ["bona-fide"])
    with pytest.raises(UserError, match="'bona-fide' cannot be in-set"):
        pick_sources(rows, ["en", "de"], ["a", "bona-fide"])
    listed = [row | {"split": "train"} for row in rows] + [
        row | {"split": "eval", "utterance": f"{row['utterance']}-c", "source": "c"} for row in rows[:3]
    ]
    assert pick_sources(listed, ["en", "de"], []) == (["a", "b"], ["bona-fide", "c"])
    with pytest.raises(UserError, match="'all' cannot be in-set"):
        pick_sources(rows_of({"en": {"a": 3, "all": 3}}), ["en"], [])
