"""MLAAD as released: what is read, and what is said of trees that are wrong."""

import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import soundfile

from srctrace.corpora.mlaad import scan_mlaad, slug
from srctrace.corpora.scan import scan
from srctrace.errors import UserError
from tests.mlaad_tree import write_mlaad_tree

BARK = "tts_models_multi_bark"
GRIFFIN = "tts_models_multi_griffin_lim"
VITS = "tts_models_multi_vits"


@pytest.fixture
def tree(tmp_path, corpus) -> Path:
    write_mlaad_tree(tmp_path / "mlaad", corpus.rows, corpus.audio)
    return tmp_path / "mlaad"


def edit(path: Path, old: str, new: str, count: int = -1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def test_what_is_released_is_read(tree, corpus):
    rows, aliases = scan_mlaad(tree, ["de", "en"])
    assert Counter((row["language"], row["source"]) for row in rows) == {
        (language, source): 6 for language in ("de", "en") for source in (BARK, GRIFFIN, VITS)
    }
    for row in rows:
        assert soundfile.info(tree / row["path"]).samplerate == 16000
    assert len({row["utterance"] for row in rows}) == 36
    assert aliases["tts_models/multi/bark"] == BARK
    # what is one text or sentence in the corpus is one here
    here = {row["utterance"].split("/")[2]: row for row in rows if row["language"] == "en"}
    for theirs in (row for row in corpus.rows if row["language"] == "en"):
        for other in (row for row in corpus.rows if row["language"] == "en"):
            mine, its = (here[Path(row["path"]).stem] for row in (theirs, other))
            assert (mine["sentence"] == its["sentence"]) == (theirs["sentence"] == other["sentence"])


@pytest.mark.parametrize("form", ["fake/{}", "{}", "/somewhere/else/fake/{}", ".\\fake\\{}"])
def test_paths_are_resolved_by_their_names(tree, form):
    meta = tree / "fake" / "en" / BARK / "meta.csv"
    expected = scan_mlaad(tree, ["en"])
    lines = meta.read_text().splitlines()
    lines[1:] = [form.format(line.removeprefix("./fake/")) for line in lines[1:]]
    if form == "{}":
        lines[1:] = [line[line.index("s") :] if "/" not in line else line.split(f"{BARK}/", 1)[1] for line in lines[1:]]
    if "\\" in form:
        lines[1:] = [line.split("|", 1)[0].replace("/", "\\") + "|" + line.split("|", 1)[1] for line in lines[1:]]
    meta.write_text("\n".join(lines))
    assert scan_mlaad(tree, ["en"]) == expected


def test_the_folder_fake_itself_is_a_root(tree):
    rows, _ = scan_mlaad(tree / "fake", ["en"])
    assert all((tree / "fake" / row["path"]).is_file() for row in rows)
    expected = [row["utterance"] for row in scan_mlaad(tree, ["en"])[0]]
    assert [row["utterance"] for row in rows] == expected


def test_other_versions_have_other_columns(tree):
    """Three are needed; transcripts may hold anything, the separator too."""
    meta = tree / "fake" / "en" / BARK / "meta.csv"
    names = sorted(path.name for path in meta.parent.glob("*.wav"))
    lines = [f"new|language|path|model_name|transcript\n1|EN|{name}|bark|\"a | b'\t{name}" for name in names]
    meta.write_text("\n".join([lines[0], *(line.split("\n")[1] for line in lines[1:])]) + "\n")
    rows = [row for row in scan_mlaad(tree, ["en"])[0] if row["source"] == "bark"]
    assert len({row["sentence"] for row in rows}) == 6
    assert {row["text"] for row in rows} == {""}


def test_equal_transcripts_are_one_text(tree):
    """Every book begins with the same words: they may not be dealt to several splits."""
    for system in (BARK, GRIFFIN):
        meta = tree / "fake" / "en" / system / "meta.csv"
        for sentence in ("x2", "x3"):
            edit(meta, f'"{sentence}\n', '"This is a  RECORDING\n')
    edit(tree / "fake" / "en" / GRIFFIN / "meta.csv", "RECORDING", "recording")
    rows = scan_mlaad(tree, ["en"])[0]
    texts = defaultdict(set)
    for row in rows:
        texts[row["utterance"].split("_f")[-1]].add(row["text"])
    assert texts["000002"] == texts["000003"]
    assert len(texts["000002"]) == 1
    assert len({text for group in texts.values() for text in group}) == 5


def test_slugs():
    assert slug("tts_models/en/ljspeech/vits--neon") == "tts_models_en_ljspeech_vits--neon"
    assert slug("suno/bark-small (v1.1)") == "suno_bark-small_v1.1_"


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


WRONG = {
    "no fake": (lambda fake: fake.rename(fake.with_name("real")), r"no folder fake/ in it.*folders found: real"),
    "no language": (lambda fake: remove(fake / "en"), r"fake/en: no folder for language 'en'.*: de"),
    "no systems": (lambda fake: [remove(path) for path in (fake / "en").iterdir()], "no folders of systems"),
    "no meta.csv": (lambda fake: remove(fake / "en" / BARK / "meta.csv"), rf"en/{BARK}/meta\.csv: missing"),
    "comma": (lambda fake: edit(fake / "en" / BARK / "meta.csv", "|", ","), r"line 1: fields are separated by ','"),
    "tab": (lambda fake: edit(fake / "en" / BARK / "meta.csv", "|", "\t"), r"line 1: fields are separated by a tab"),
    "semicolon": (lambda fake: edit(fake / "en" / BARK / "meta.csv", "|", ";"), r"line 1: fields .* by ';'"),
    "no column": (
        lambda fake: edit(fake / "en" / BARK / "meta.csv", "|model_name|", "|model|"),
        r"line 1: no column model_name; found: path, .*model,",
    ),
    "few fields": (
        lambda fake: edit(fake / "en" / BARK / "meta.csv", "|True|", "|", 1),
        r"line 2: 8 fields, but the header has 9",
    ),
    "not listed": (
        lambda fake: (fake / "en" / BARK / "y.wav").touch(),
        rf"{BARK}/y\.wav: not listed in meta\.csv \(1 of 7",
    ),
    "not there": (
        lambda fake: remove(next((fake / "en" / BARK).glob("*5.wav"))),
        rf"{BARK}/meta\.csv: lists 's1-.*5\.wav', which is not in the folder \(1 of 6",
    ),
    "twice": (
        lambda fake: edit(fake / "en" / BARK / "meta.csv", "f000001.wav|en", "f000003.wav|en"),
        r"line \d: 's1-.*' is listed twice",
    ),
    "other language": (
        lambda fake: edit(fake / "en" / BARK / "meta.csv", "|en|True", "|fr|True", 1),
        r"line 2: language 'fr', but the folder is that of 'en'",
    ),
    "one slug": (
        lambda fake: edit(fake / "de" / BARK / "meta.csv", "tts_models/multi/bark", "tts_models multi bark"),
        rf"'tts_models/multi/bark' and 'tts_models multi bark' would both be source '{BARK}'",
    ),
    "empty": (
        lambda fake: (fake / "en" / BARK / "meta.csv").write_text("path|language|model_name\n"),
        "lists no utterances",
    ),
    "no text": (lambda fake: (fake / "en" / BARK / "meta.csv").write_bytes(b"\xff\xfe"), "not UTF-8"),
}


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_a_wrong_tree_is_told_what_is_wrong(tree, kind):
    break_it, message = WRONG[kind]
    break_it(tree / "fake")
    with pytest.raises(UserError, match=message):
        scan("mlaad", tree, [], ["de", "en"])


def test_each_wrong_tree_has_a_message_of_its_own():
    assert len({message for _, message in WRONG.values()}) == len(WRONG)


def test_systems_of_all_languages_are_picked(tree, capsys):
    remove(tree / "fake" / "de" / VITS)
    rows, in_set, out_of_set = scan("mlaad", tree, [], ["de", "en"])
    assert (in_set, out_of_set) == ([BARK, GRIFFIN], [])
    assert {row["source"] for row in rows} == {BARK, GRIFFIN}
    said = capsys.readouterr().err
    assert f"in-set: {BARK}, {GRIFFIN}\n" in said
    assert "en: 12 in-set utterances, 6 to 6 of a source" in said
    assert scan("mlaad", tree, [], ["en"])[1] == [BARK, GRIFFIN, VITS]


@pytest.mark.parametrize("names", [["tts_models/multi/griffin_lim", BARK], [GRIFFIN, "tts_models/multi/bark"]])
def test_systems_are_named_by_model_or_folder(tree, names):
    assert scan("mlaad", tree, [], ["de", "en"], names, ["tts_models/multi/vits"])[1:] == ([GRIFFIN, BARK], [VITS])


def test_a_language_without_a_named_system(tree):
    remove(tree / "fake" / "de" / VITS)
    message = rf"(?s)'de' has 0 .* '{VITS}'.*every language has: {BARK}, {GRIFFIN}; .*en: {BARK}, {GRIFFIN}, {VITS}"
    with pytest.raises(UserError, match=message):
        scan("mlaad", tree, [], ["de", "en"], [BARK, VITS])
    remove(tree / "fake" / "de" / GRIFFIN)
    with pytest.raises(
        UserError, match=rf"(?s)1 source\(s\) in all of de, en.*\n  de: {BARK}\n  en: {BARK}, {GRIFFIN}"
    ):
        scan("mlaad", tree, [], ["de", "en"])


def test_too_few_utterances(tree):
    meta = tree / "fake" / "en" / BARK / "meta.csv"
    meta.write_text("".join(meta.read_text().splitlines(keepends=True)[:3]))
    kept = re.findall(r"s\d-\w+\.wav(?=\|)", meta.read_text())
    for path in meta.parent.glob("*.wav"):
        if path.name not in kept:
            path.unlink()
    with pytest.raises(UserError, match=rf"'en' has 2 utterance\(s\) of source '{BARK}'"):
        scan("mlaad", tree, [], ["de", "en"])


def test_a_system_that_is_not_asked_for_may_be_broken(tree):
    remove(tree / "fake" / "en" / VITS / "meta.csv")
    (tree / "fake" / "de" / VITS / "y.wav").touch()
    assert scan("mlaad", tree, [], ["de", "en"], [BARK, GRIFFIN])[1] == [BARK, GRIFFIN]
