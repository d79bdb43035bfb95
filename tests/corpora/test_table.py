"""A table as a corpus, however it is written."""

import pytest

from srctrace.corpora.table import read_corpus_tables
from srctrace.errors import UserError
from srctrace.manifest import new_row

ROWS = [new_row("en/a/1", "en/a/1.wav", "en", "a"), new_row("en/b/2", "en/b/2.wav", "en", "b")]


@pytest.mark.parametrize(
    "content",
    [
        "path\tlanguage\tsource\nen/a/1.wav\ten\ta\nen/b/2.wav\ten\tb\n",
        "File Name,Lang,Model_Name\r\nen/a/1.wav,en,a\r\nen/b/2.wav,en,b\r\n",
        "\ufefflang;system;path\nen;a;en/a/1.wav\nen;b;en/b/2.wav\nfr;b;fr/b/2.wav\n",
        "attack|wav|extra|language\na|en/a/1.wav|what, ever; it is|en\nb|en/b/2.wav||en\n",
        "path language source\nen/a/1.wav en a\n\nen/b/2.wav en b\n",
    ],
)
def test_separators_and_names_are_found_out(tmp_path, content):
    (tmp_path / "t.csv").write_text(content, newline="")
    assert read_corpus_tables([tmp_path / "t.csv"], ["en"]) == ROWS


def test_what_a_manifest_has_is_taken(tmp_path):
    row = new_row("u1", 'a, "b".wav', "en", "a", speaker="s1", text="t", sentence="t-1", split="dev")
    (tmp_path / "t.tsv").write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    assert read_corpus_tables([tmp_path / "t.tsv"], ["en"]) == [row]
    (tmp_path / "t.tsv").write_text('path,language,source,split\n"a, b.wav",en,a,validation\n')
    assert read_corpus_tables([tmp_path / "t.tsv"], ["en"]) == [new_row("a, b", "a, b.wav", "en", "a", split="dev")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,language,source\nx.wav,en,a\n", "no utterance of language 'fr'; found: en"),
        ("path,language\nx.wav,fr\n", "no column for source; found: path, language"),
        ("path,language,source\nx.wav,fr\n", r"line 2: 2 fields, but expected 3"),
        ("path,language,source,split\nx.wav,fr,a,later\n", "unknown split 'later'; known: train"),
        ("x.wav fr a\n", "no column for language, source; found: a table without a header"),
        ("1 2 3\n", "no column is known by its name"),
        ("\n", "empty"),
    ],
)
def test_bad_tables(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_corpus_tables([tmp_path / "t.csv"], ["fr"])
