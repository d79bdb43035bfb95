"""Lists that others made: found, read, matched to the corpus, and refused where they do not fit."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from srctrace.corpora.lists import apply_splits, read_speaker_lists, read_split_lists
from srctrace.corpora.scan import scan
from srctrace.errors import UserError
from srctrace.manifest import new_row
from tests.mlaad_tree import write_mlaad_tree, write_split_lists

BARK, GRIFFIN, VITS = (f"tts_models_multi_{name}" for name in ("bark", "griffin_lim", "vits"))
LANGUAGES = ["de", "en"]


@pytest.fixture
def mlaad(tmp_path, corpus) -> Path:
    """A tree of MLAAD, and `lists/` for it."""
    write_mlaad_tree(tmp_path / "mlaad", corpus.rows, corpus.audio)
    write_split_lists(tmp_path / "lists", corpus.rows, corpus.split_of)
    return tmp_path / "mlaad"


def lists(mlaad: Path) -> Path:
    return mlaad.parent / "lists"


def by_lists(mlaad: Path, languages=LANGUAGES, **options) -> tuple[list[dict[str, str]], list[str], list[str]]:
    return scan("mlaad", mlaad, [], languages, split_lists=lists(mlaad), **options)


def test_protocols_as_mlaad_ships_them(mlaad, corpus, capsys):
    rows, in_set, out_of_set = by_lists(mlaad)
    assert (in_set, out_of_set) == ([BARK, GRIFFIN], [VITS])  # vits is in dev and eval alone
    here = {(row["language"], row["source"], Path(row["path"]).stem): row["split"] for row in rows}
    theirs = {}
    for row in corpus.rows:
        if row["utterance"] in corpus.split_of:
            system = f"tts_models_multi_{row['source']}"
            theirs[row["language"], system, Path(row["path"]).stem] = corpus.split_of[row["utterance"]]
    assert here == theirs
    said = capsys.readouterr().err
    assert "train.csv: separated by ','; read: path, model_name as source; train 12" in said
    assert "are listed; 12 are not, and are left out" in said
    assert f"out-of-set: {VITS}" in said


def test_sources_can_be_named_with_lists(mlaad):
    assert by_lists(mlaad, sources=["tts_models/multi/griffin_lim", BARK])[1:] == ([GRIFFIN, BARK], [VITS])
    with pytest.raises(UserError, match=rf"{VITS}: in no train list"):
        by_lists(mlaad, sources=[BARK, VITS])


@pytest.mark.parametrize("form", ["./fake/{}", "/data/x/fake/{}", "{}", "no suffix", "with a column"])
def test_paths_in_other_forms(mlaad, form):
    expected = by_lists(mlaad)[0]
    for path in lists(mlaad).iterdir():
        lines = path.read_text().splitlines()
        paths = [line.split(",")[0].removeprefix("fake/") for line in lines[1:]]
        models = [line.split(",")[1] for line in lines[1:]]
        if form == "no suffix":
            lines = ["utt\tsystem", *(f"{place[:-4]}\t{model}" for place, model in zip(paths, models, strict=True))]
        elif form == "with a column":  # names alone are not unique: language and source make them so
            table = zip(paths, models, strict=True)
            lines = [f"{place.rpartition('/')[2]}|{place[:2]}|{model}" for place, model in table]
            lines = ["Filename|LANG|Model Name", *lines]
        else:
            lines = ["path", *(form.format(place) for place in paths)]
        path.write_text("\n".join(lines))
    assert by_lists(mlaad)[0] == expected


@pytest.mark.parametrize("layout", ["folders", "other names", "one file", "no header"])
def test_lists_are_found_by_their_names(mlaad, layout):
    expected = by_lists(mlaad)[0]
    folder = lists(mlaad)
    if layout == "one file":
        both = [line + f",{path.stem}" for path in folder.iterdir() for line in path.read_text().splitlines()[1:]]
        text = "\n".join(["path,model_name,Subset", *both]).replace(",dev", ",VALIDATION")
        for path in folder.iterdir():
            path.unlink()
        (folder / "protocol.csv").write_text(text)
    for path in list(folder.iterdir()):
        if layout == "folders":
            (folder / path.stem).mkdir()
            path.rename(folder / path.stem / "MLAAD_list.csv")
        elif layout == "other names":
            name = {"train": "training", "dev": "mlaad_v5_val", "eval": "Test-2"}[path.stem]
            path.rename(folder / f"{name}.txt")
        elif layout == "no header":
            lines = path.read_text().splitlines()[1:]
            path.write_text("\n".join(line.replace(",", " ") + " spoof" for line in lines))
    (folder / "README.txt").write_text("read me")
    assert by_lists(mlaad)[0] == expected


def test_a_file_of_listed_paths_may_be_the_whole_of_it(mlaad):
    expected = by_lists(mlaad)[0]
    lines = [f"{line},{path.stem}" for path in lists(mlaad).iterdir() for line in path.read_text().splitlines()[1:]]
    one = mlaad.parent / "all.csv"
    one.write_text("\n".join(["path,model_name,split", *lines]))
    assert scan("mlaad", mlaad, [], LANGUAGES, split_lists=one)[0] == expected


def test_languages_that_the_config_lacks_are_told_to_be_pasted(mlaad):
    message = r"1 language\(s\) that corpus\.languages lacks \(de\).*\n  languages: \[en, de\]"
    with pytest.raises(UserError, match=message):
        by_lists(mlaad, ["en"])


def test_listed_audio_that_is_not_there(mlaad):
    with (lists(mlaad) / "eval.csv").open("a") as file:
        csv.writer(file).writerows([[f"fake/en/{BARK}/{name}.wav", "tts_models/multi/bark"] for name in "pqrst"])
    message = (
        r"(?s)5 of 29 listed utterances are not in the corpus.*'fake/en/.*/p\.wav', .*/r\.wav' … \(5 of .*eval\.csv"
    )
    with pytest.raises(UserError, match=message):
        by_lists(mlaad)


def test_an_utterance_in_two_splits(mlaad):
    train = (lists(mlaad) / "train.csv").read_text().splitlines()[1]
    with (lists(mlaad) / "dev.csv").open("a") as file:
        file.write(train + "\n")
    with pytest.raises(UserError, match=r"is in \w+ \(.*\.csv\) and in \w+ \(.*\.csv\): give the lists of one"):
        by_lists(mlaad)


def test_the_same_line_twice_is_harmless(mlaad):
    expected = by_lists(mlaad)[0]
    train = lists(mlaad) / "train.csv"
    train.write_text(train.read_text() + train.read_text().splitlines()[1] + "\n")
    assert by_lists(mlaad)[0] == expected


def test_a_list_with_other_sources(mlaad):
    path = lists(mlaad) / "eval.csv"
    path.write_text(path.read_text().replace("tts_models/multi/bark", "tts_models/multi/vits"))
    with pytest.raises(UserError, match=rf"eval\.csv: .* is listed as 'tts_models/multi/vits', but .* of '{BARK}'"):
        by_lists(mlaad)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("more.csv", "path\nx.wav\n", r"more\.csv: which split is it of\?"),
        ("train_eval.csv", "path\nx.wav\n", "'train_eval' could mean eval or train"),
        ("dev2.csv", "model_name\nx\n", "no column for path; found: model_name"),
        ("dev2.csv", "path,split\nx.wav,later\n", "unknown split 'later'"),
        ("dev2.csv", "", "empty"),
    ],
)
def test_lists_that_cannot_be_read(mlaad, name, content, message):
    (lists(mlaad) / name).write_text(content)
    with pytest.raises(UserError, match=message):
        by_lists(mlaad)


def test_a_split_without_a_list(mlaad, tmp_path):
    (lists(mlaad) / "dev.csv").unlink()
    with pytest.raises(UserError, match=r"no list of dev: found only eval, train"):
        by_lists(mlaad)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no lists"):
        read_split_lists(tmp_path / "empty")
    with pytest.raises(UserError, match="no such file or folder"):
        read_split_lists(tmp_path / "nowhere")


def test_pseudo_speakers_come_from_lists(mlaad, corpus):
    """The same files may have them; a number is that of a cluster of its language."""
    write_split_lists(lists(mlaad), corpus.rows, corpus.split_of, speakers=True)
    rows = by_lists(mlaad, speaker_lists=lists(mlaad))[0]
    theirs = {(row["language"], Path(row["path"]).stem): row["speaker"] for row in corpus.rows}
    for row in rows:
        number = theirs[row["language"], Path(row["path"]).stem].removeprefix("s")
        assert row["speaker"] == f"{row['language']}-{number}"


def test_speakers_with_names_keep_them_and_some_may_be_missing(mlaad, capsys):
    rows = scan("mlaad", mlaad, [], LANGUAGES)[0]
    path = mlaad.parent / "speakers.txt"
    path.write_text("utt cluster\n" + "\n".join(f"{row['path']} {row['language']}_spk7" for row in rows[:30]))
    rows = scan("mlaad", mlaad, [], LANGUAGES, speaker_lists=path)[0]
    assert Counter(row["speaker"] for row in rows) == {"de_spk7": 18, "en_spk7": 12, "": 6}
    assert "speakers of 30 of 36 utterances" in capsys.readouterr().err


def test_speaker_lists_that_cannot_be_read(mlaad):
    with pytest.raises(UserError, match=r"(?s)no list with a column of speakers.*train\.csv.*no speakers"):
        read_speaker_lists(lists(mlaad))
    path = mlaad.parent / "s.csv"
    place = scan("mlaad", mlaad, [], LANGUAGES)[0][0]["path"]
    path.write_text(f"path,speaker\n{place},a\n{place},b\n")
    with pytest.raises(UserError, match=r"has speaker 'b', and elsewhere 'a'"):
        scan("mlaad", mlaad, [], LANGUAGES, speaker_lists=path)


def test_any_corpus_can_be_listed(tmp_path):
    """Matched whole, then without suffixes, then by names where these are unique."""
    places = {f"en/{source}/{n}": f"en/{source}/{source}{n}.flac" for source in "ab" for n in "123"}
    rows = [new_row(utterance, path, "en", utterance[3]) for utterance, path in places.items()]
    for split, n in (("train", "1"), ("dev", "2"), ("eval", "3")):
        (tmp_path / f"{split}.txt").write_text(f"file\nen/a/a{n}.flac\nelsewhere/b{n}.wav\n")
    listed = apply_splits(rows, read_split_lists(tmp_path)[0], ["en"], "lists")
    assert [(row["utterance"], row["split"]) for row in listed] == [
        (f"en/{source}/{n}", split) for source in "ab" for n, split in (("1", "train"), ("2", "dev"), ("3", "eval"))
    ]
