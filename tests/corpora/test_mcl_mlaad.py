"""MCL-MLAAD's released tensors: waveforms as a corpus, LFCCs as features."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from srctrace.audio import FACTS, decode
from srctrace.corpora.mcl_mlaad import pack_released_lfcc, scan_mcl_mlaad
from srctrace.corpora.scan import scan
from srctrace.errors import UserError
from srctrace.features import open_features
from srctrace.frontends.lfcc import LfccOptions
from srctrace.store import open_store
from srctrace.waves import pack_waves
from tests.mlaad_tree import VARIANTS, write_mcl_mlaad_tree, write_split_lists

LANGUAGES = ["de", "en"]
OURS = ("clean", "reverb", "babble", "music", "noise")  # the variants in the order of the released ones


@pytest.fixture
def tree(tmp_path, corpus) -> Path:
    write_mcl_mlaad_tree(tmp_path / "mcl", corpus.rows, corpus.split_of, corpus.audio)
    return tmp_path / "mcl"


def expected(corpus) -> dict[str, tuple[str, str]]:
    """Utterance to its source and split."""
    labels = {"bark": 0, "griffin_lim": 1, "vits": 2}
    found = {}
    for row in corpus.rows:
        if row["utterance"] in corpus.split_of:
            split, label = corpus.split_of[row["utterance"]], labels[row["source"]]
            name = Path(row["path"]).stem.replace("-", "_")
            found[f"{row['language']}/{split}/{label}_{name}"] = (f"system{label}", split)
    return found


def test_waveforms_are_a_corpus_with_splits(tree, corpus):
    rows, notes = scan_mcl_mlaad(tree, LANGUAGES)
    assert notes == []
    assert {row["utterance"]: (row["source"], row["split"]) for row in rows} == expected(corpus)
    assert all((tree / row["path"]).is_file() for row in rows)
    assert {row["text"] for row in rows if row["utterance"].endswith("f000003")} == {"s1_poisoned_pen_03_f000003"}
    assert scan("mcl-mlaad", tree, [], LANGUAGES)[1:] == (["system0", "system1"], ["system2"])


@pytest.mark.parametrize("layout", ["en/…", "…/en", "deeper", "without the corpus's folder"])
def test_folders_may_be_in_another_order(tree, corpus, layout):
    for language in LANGUAGES:
        home = tree / f"{language}-{language}"
        if layout == "en/…":
            home.rename(tree / language)
        elif layout == "…/en":
            (tree / "Clean_no_feature").mkdir(exist_ok=True)
            (home / "Clean_no_feature").rename(tree / "Clean_no_feature" / language)
        elif layout == "deeper":
            (tree / "data").mkdir(exist_ok=True)
            home.rename(tree / "data" / home.name)
    for path in list(tree.rglob("train")) if layout == "deeper" else []:
        path.rename(path.with_name("training"))
    rows, _ = scan_mcl_mlaad(tree, LANGUAGES)
    assert {row["utterance"]: (row["source"], row["split"]) for row in rows} == expected(corpus)


def test_noisy_waveforms_are_left_out(tree, capsys):
    clean = next(tree.rglob("Clean_no_feature/train/*_original_*.pt"))
    shutil.copy(clean, clean.with_name(clean.name.replace("_original_", "_speech_")))
    before = len(scan("mcl-mlaad", tree, [], LANGUAGES)[0])
    clean.with_name(clean.name.replace("_original_", "_speech_")).unlink()
    assert len(scan("mcl-mlaad", tree, [], LANGUAGES)[0]) == before
    assert "1 waveforms of other variants are left out" in capsys.readouterr().err


def test_labels_are_named_by_a_released_assignment(tree):
    names = ["tts_models/multi/bark", "griffin_lim", "tts_models/multi/vits"]
    lines = [f"{name:50}|{label:<3}|{'OOD' if label == 2 else 'ID'}" for label, name in enumerate(names)]
    (tree / "label_assignment.txt").write_text("\n".join(lines) + "\n")
    assert scan("mcl-mlaad", tree, [], LANGUAGES)[1:] == (
        ["griffin_lim", "tts_models_multi_bark"],
        ["tts_models_multi_vits"],
    )


def test_labels_are_named_by_lists_where_names_of_files_tell(tree, corpus, tmp_path):
    """Where all systems say the same, nothing tells; with names of their own, lists of pseudo-speakers do."""
    write_split_lists(tmp_path / "lists", corpus.rows, corpus.split_of, speakers=True)
    for path in (tmp_path / "lists").iterdir():
        path.write_text(path.read_text().replace("/s0-", "/s0_").replace("/s1-", "/s1_"))
    with pytest.raises(UserError, match="24 of 24 listed utterances are not in the corpus, or not to be told apart"):
        scan("mcl-mlaad", tree, [], LANGUAGES, speaker_lists=tmp_path / "lists")
    for place in tree.rglob("*.pt"):
        place.rename(place.with_name(place.name.replace("_poisoned", f"_{place.name.split('_')[1]}poisoned")))
    for path in (tmp_path / "lists").iterdir():
        lines = path.read_text().splitlines()
        for label, name in enumerate(("bark", "griffin_lim", "vits")):
            lines = [line.replace("_poisoned", f"_{label}poisoned") if name in line else line for line in lines]
        path.write_text("\n".join(lines))
    rows, in_set, out_of_set = scan("mcl-mlaad", tree, [], LANGUAGES, speaker_lists=tmp_path / "lists")
    assert (in_set, out_of_set) == (
        ["tts_models_multi_bark", "tts_models_multi_griffin_lim"],
        ["tts_models_multi_vits"],
    )
    for row in rows:
        name = row["utterance"].split("/")[2].split("_", 1)[1]
        assert row["speaker"] == f"{row['language']}-{name[1]}"


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda tree: shutil.rmtree(tree / "en-en"), r"no waveforms of language 'en': .*folders found: de-de"),
        (lambda tree: [path.unlink() for path in tree.rglob("*.pt")], r"no \.pt file in a folder Clean_no_feature"),
        (shutil.rmtree, "no such folder"),
        (
            lambda tree: next(tree.rglob("Clean_no_feature/train")).joinpath("x.pt").touch(),
            r"train/x\.pt: expected .*INDEX_LABEL",
        ),
        (
            lambda tree: next(tree.rglob("Clean_no_feature/train")).joinpath("1_2_echo_x.pt").touch(),
            "a variant among original, clean, noise",
        ),
        (
            lambda tree: next(tree.rglob("Clean_no_feature/train")).rename(next(tree.rglob("Clean*")) / "more"),
            r"more/.*expected …/\{train,dev,eval\}/",
        ),
    ],
)
def test_a_wrong_tree_is_told_what_is_wrong(tree, break_it, message):
    break_it(tree)
    with pytest.raises(UserError, match=message):
        scan_mcl_mlaad(tree, LANGUAGES)


def test_waveforms_are_decoded(tree, tmp_path):
    rows = [row for row in scan_mcl_mlaad(tree, LANGUAGES)[0] if row["language"] == "en"]
    pack_waves(rows, tree, tmp_path / "en.npy", seconds=4.0, seed=0)
    store = open_store(tmp_path / "en.npy", FACTS)
    for index, row in enumerate(rows):
        tensor = torch.load(tree / row["path"], weights_only=True)
        np.testing.assert_array_equal(store.record(index), (tensor[0] * 32768).to(torch.int16).numpy())
        assert float(store.rows[index]["duration"]) == 4.0


def test_a_tensor_may_be_flat_or_of_another_precision(tmp_path):
    wave = torch.linspace(-0.5, 0.5, 500)
    torch.save(wave, tmp_path / "a.pt")
    torch.save(wave[None].double(), tmp_path / "b.pt")
    np.testing.assert_array_equal(decode(tmp_path / "a.pt").samples, decode(tmp_path / "b.pt").samples)
    assert decode(tmp_path / "a.pt").sample_rate == 16000


class Program:
    """What a pickle could run."""

    def __reduce__(self):
        return (print, ("run!",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(2, 500), r"shape \(2, 500\), where a waveform"),
        (torch.zeros(1, 1, 500), r"shape \(1, 1, 500\)"),
        (torch.zeros(0), r"shape \(0,\)"),
        (torch.tensor([0.0, float("nan")]), "NaN or infinity"),
        (torch.full((500,), 3000.0), "values up to 3000"),
        (torch.zeros(500, dtype=torch.int16), r"tensor of torch\.int16"),
        ({"wave": torch.zeros(500)}, "holds dict"),
        (Program(), r"(?s)refused: it holds more than tensors.*print"),
    ],
)
def test_tensors_that_are_no_waveform(tmp_path, content, message, capsys):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(UserError, match=message):
        decode(tmp_path / "a.pt")
    assert "run!" not in capsys.readouterr().out


@pytest.mark.parametrize(("cut", "message"), [(0, "empty"), (40, "refused|cannot be read"), (900, "cannot be read")])
def test_damaged_tensors(tmp_path, cut, message):
    torch.save(torch.zeros(500), tmp_path / "a.pt")
    (tmp_path / "a.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:cut])
    with pytest.raises(UserError, match=message):
        decode(tmp_path / "a.pt")
    with pytest.raises(UserError, match="cannot be opened"):
        decode(tmp_path / "b.pt")


def split_of(tree: Path) -> dict[str, str]:
    return {row["utterance"]: row["split"] for row in scan_mcl_mlaad(tree, LANGUAGES)[0]}


def test_released_lfcc_become_a_feature_store(tree, corpus, tmp_path):
    splits = split_of(tree)
    splits.pop("en/train/0_s0_poisoned_pen_03_f000000")
    pack_released_lfcc(tree, "en", splits, tmp_path / "en.npy", LfccOptions(), OURS, 4.0)
    store, made = open_features(tmp_path / "en.npy")
    assert made["origin"] == "released"
    assert (made["frontend"], made["n_lfcc"]) == ("lfcc", 80)
    assert store.array.shape == (5 * sum(name.startswith("en/") for name in splits), 80, 399)
    numbers = {row["utterance"]: number for number, row in enumerate(corpus.rows)}
    for index, row in enumerate(store.rows):
        language, split, rest = row["utterance"].split("/")
        label, name = rest.split("_", 1)
        source = ("bark", "griffin_lim", "vits")[int(label)]
        record = store.record(index)
        assert record[1, 0] == numbers[f"{language}/{source}/{name.replace('_', '-', 1)}"]
        assert VARIANTS[int(record[0, 0])] == VARIANTS[OURS.index(row["variant"])]
        assert row["split"] == split == splits[row["utterance"]]
    assert Counter(row["variant"] for row in store.rows) == dict.fromkeys(OURS, len(store) // 5)


@pytest.mark.parametrize("change", [lambda feature: feature[None], lambda feature: feature.T])
def test_released_lfcc_may_lie_another_way(tree, tmp_path, change):
    splits = split_of(tree)
    pack_released_lfcc(tree, "en", splits, tmp_path / "a.npy", LfccOptions(), ["noise"], 4.0)
    for path in tree.rglob("preprocess_lfcc/*/*.pt"):
        torch.save(change(torch.load(path, weights_only=True)).contiguous(), path)
    pack_released_lfcc(tree, "en", splits, tmp_path / "b.npy", LfccOptions(), ["noise"], 4.0)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_released_lfcc_that_do_not_fit(tree, tmp_path):
    splits, out = split_of(tree), tmp_path / "en.npy"
    with pytest.raises(UserError, match="not 40 by 399: set lfcc and seconds"):
        pack_released_lfcc(tree, "en", splits, out, LfccOptions(n_lfcc=40), OURS, 4.0)
    with pytest.raises(UserError, match="no utterance of en has a split"):
        pack_released_lfcc(tree, "en", {}, out, LfccOptions(), OURS, 4.0)
    path = next(tree.rglob("en-en/**/dev/*_1_music_*.pt"))
    again = path.with_name("999999_" + path.name.split("_", 1)[1])
    shutil.copy(path, again)
    with pytest.raises(UserError, match="are the same variant of one utterance"):
        pack_released_lfcc(tree, "en", splits, out, LfccOptions(), OURS, 4.0)
    again.unlink()
    path.unlink()
    with pytest.raises(UserError, match=r"no music of en/dev/1_s1_poisoned_pen_03_f000003 \(1 records are missing"):
        pack_released_lfcc(tree, "en", splits, out, LfccOptions(), OURS, 4.0)
    assert not out.exists()
