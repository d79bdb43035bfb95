"""Exported models: what is in them, that they load, that they are the same every time, and what is refused."""

import json
import shutil
import sys
import tarfile
import zipfile
from dataclasses import replace

import huggingface_hub
import pytest
import yaml

from srctrace.checkpoint import DESCRIPTION, load_checkpoint
from srctrace.cli import main
from srctrace.errors import UserError
from srctrace.frontends.ssl import SslEncoder, load_encoder
from srctrace.frontends.tiny import make_checkpoint
from srctrace.frontends.weights import pin
from srctrace.sharing import resolve
from srctrace.sharing.export import export
from srctrace.tracing import Tracer
from tests.sharing.making import SOURCES, decide, describe, make_model, write_findings

FILES = {"README.md", "metrics.json", "model.json", "model.safetensors"}


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "model")


def card_of(folder) -> tuple[dict, str]:
    """The YAML of a card and its text."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, front, rest = text.split("---\n", 2)
    return yaml.safe_load(front), rest


def test_a_folder_has_all_of_a_model_and_loads_anywhere(model, tmp_path):
    decide(model, tmp_path / "enrolled-from" / "a.wav")
    for not_shared in ("history.tsv", "last-1.ckpt", "embeddings.npy"):
        (model / not_shared).write_text("x")
    before = Tracer.load([model], "cpu", 1)
    expected = [trace.ranking for trace in before.trace([tmp_path / "enrolled-from"])]
    assert main(["export", str(model), "--out", str(tmp_path / "out")]) == 0
    out = tmp_path / "elsewhere"
    shutil.move(tmp_path / "out", out)
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == FILES | {
        "decision.safetensors",
        "enrolled/new.safetensors",
    }
    for name in ("model.safetensors", "model.json", "decision.safetensors"):
        assert (out / name).read_bytes() == (model / name).read_bytes()
    shutil.rmtree(model)
    assert load_checkpoint(resolve(str(out)))[1].sources == SOURCES
    after = Tracer.load([resolve(str(out))], "cpu", 1)
    assert after.enrolled == ["new"]
    assert [trace.ranking for trace in after.trace([tmp_path / "enrolled-from"])] == expected


def test_what_was_measured_is_kept_as_numbers(model, tmp_path):
    decide(model)
    write_findings(model)
    export(model, tmp_path / "out", "other")
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert set(found) == {"metrics", "openset", "calibration"}
    assert found["openset"][0]["auroc"] == 0.75
    assert found["openset"][0]["eer"] is None
    assert found["metrics"][0]["macro_f1"] == 0.9
    assert found["metrics"][0]["n_trials"] == 60
    export(tmp_path / "out", tmp_path / "again", "other")  # an exported model is a model
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_archives_are_the_same_bytes_every_time_and_unpack_to_a_model(model, tmp_path, suffix):
    decide(model, tmp_path / "enrolled-from" / "a.wav")
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    export(model, first, "other")
    for path in model.iterdir():
        path.touch()
    export(model, second, "other")
    assert first.read_bytes() == second.read_bytes()
    shutil.unpack_archive(first, tmp_path / "there", **({"filter": "data"} if suffix == ".tar.gz" else {}))
    inside = tmp_path / "there" / "lfcc-resnet18-de-seed1"
    export(model, tmp_path / "folder", "other")
    for path in (tmp_path / "folder").rglob("*"):
        if path.is_file():
            assert (inside / path.relative_to(tmp_path / "folder")).read_bytes() == path.read_bytes()
    assert load_checkpoint(resolve(str(inside)))[1].sources == SOURCES
    with pytest.raises(UserError, match="an archive: unpack it"):
        resolve(str(first))
    with pytest.raises(UserError, match=r"has no model.json, but .*seed1 has: name that folder"):
        resolve(str(tmp_path / "there"))


def test_archives_name_nobody_and_no_time(model, tmp_path):
    export(model, tmp_path / "a.tar.gz", "other")
    export(model, tmp_path / "a.zip", "other")
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == [f"lfcc-resnet18-de-seed1/{name}" for name in sorted(FILES)]
    assert {(entry.uid, entry.uname, entry.mtime, entry.mode) for entry in entries} == {(0, "", 0, 0o644)}
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_the_card_is_one_of_the_hub(model, tmp_path):
    export(model, tmp_path / "out", "cc-by-nc-4.0")
    front, text = card_of(tmp_path / "out")
    assert front["license"] == "cc-by-nc-4.0"
    assert front["language"] == ["de"]
    assert front["library_name"] == "srctrace"
    assert front["pipeline_tag"] == "audio-classification"
    results = {entry["dataset"]["config"]: entry["metrics"] for entry in front["model-index"][0]["results"]}
    assert {metric["name"]: metric["value"] for metric in results["pl"]} == {
        "macro-F1, clean": 0.6,
        "macro-F1, all": 0.5,
    }
    data = huggingface_hub.ModelCard.load(tmp_path / "out" / "README.md").data
    assert len(data.eval_results) == 4
    assert "mono-lingual (de) 90.0 % (80.0 to 95.0); cross-lingual 60.0 % on average over 1" in text
    assert "| mono | pl | 60 | 60.0 % (50.0 to 65.0) | 50.0 % (40.0 to 55.0) | noise: 40.0 % (30.0 to 45.0) |" in text
    assert "`bark`, `vits`, `xtts_v2`" in text
    assert "corpus is mlaad (CC BY-NC 4.0" in text
    assert "names one of them for every other synthesiser too" in text
    assert "for demonstration and tests" not in text
    assert text.endswith(".\n")


def test_the_card_says_what_a_decision_and_its_figures_change(model, tmp_path):
    decide(model)
    export(model, tmp_path / "bare", "other")
    _, text = card_of(tmp_path / "bare")
    assert "How well it does so was not measured" in text
    assert "It was not tested on real speech" in text
    assert "may miss that it is none of them" in text
    write_findings(model)
    export(model, tmp_path / "out", "other")
    _, text = card_of(tmp_path / "out")
    assert text.count("| de | all (30 trials) | 0.750 (0.700 to 0.800) | 40.0 % | 5.0 % |") == 1
    assert "| de | bona-fide (30 trials) |" in text
    assert "sources that the model does not know: lpc." in text
    assert "| lpc" not in text
    trained = "On real speech in the languages of its training (de), it took 40.0 % for one of its sources. "
    assert trained + "On real speech in other languages (en, pl), it took 60.0 % for one of its sources.\n" in text
    assert "not tested on real speech" not in text
    assert "| mono | de | 12.3 % | 3.1 % |" in text


def test_the_card_of_the_built_in_corpus_warns(tmp_path):
    described = describe()
    make_model(tmp_path / "model", replace(described, training=described.training | {"corpus": "builtin"}))
    (tmp_path / "model" / "metrics.tsv").unlink()
    export(tmp_path / "model", tmp_path / "out", "other")
    front, text = card_of(tmp_path / "out")
    assert "model-index" not in front
    assert "This model is for demonstration and tests" in text
    assert "say nothing about real systems" in text
    assert "no figures came with the model" in text
    assert "which says nothing yet" in text


def test_no_path_of_whoever_trained_is_told(tmp_path):
    """Of a frozen front-end and of a fine-tuned one, whose checkpoints were folders."""
    folder = tmp_path / "secret" / "tiny"
    make_checkpoint("wav2vec2", folder)
    pin(str(folder), "", tmp_path / "pinned.json")
    pinned = json.loads((tmp_path / "pinned.json").read_text())
    encoder = load_encoder(folder, pinned, "weighted")
    of_checkpoint = {key: pinned[key] for key in ("checkpoint", "revision", "files")}
    frozen = {"frontend": "ssl", **of_checkpoint, "layers": 1, "n_layers": 0, "sample_rate": 16000, "hop_length": 320}
    made = {
        "frozen": describe(frontend=frozen | {"seconds": 0.5}, n_features=encoder.n_features),
        "tuned": describe(
            frontend={"frontend": "waves", "sample_rate": 16000, "seed": 1, "seconds": 0.5},
            n_features=encoder.n_features,
            n_layers=encoder.n_layers,
            ssl=encoder.description,
        ),
    }
    for name, description in made.items():
        make_model(tmp_path / name, description)
        decide(tmp_path / name, tmp_path / "secret" / "a.wav" if name == "tuned" else None)
        assert "secret" in (tmp_path / name / "model.json").read_text()
        export(tmp_path / name, tmp_path / f"{name}-out", "other")
        for path in (tmp_path / f"{name}-out").rglob("*"):
            assert path.is_dir() or b"secret" not in path.read_bytes()
        model, found = load_checkpoint(tmp_path / f"{name}-out")
        assert (found.ssl or found.frontend)["checkpoint"] == "tiny"
        assert (found.ssl or found.frontend)["files"] == pinned["files"]
    assert isinstance(model.ssl, SslEncoder)
    assert Tracer.load([tmp_path / "tuned-out"], "cpu", 1).enrolled == ["new"]  # though the weights' digest is another


# What is refused.


def test_what_is_there_is_not_overwritten(model, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(UserError, match="a folder that is not empty"):
        export(model, tmp_path / "full", "other")
    with pytest.raises(UserError, match="there is such a file already"):
        export(model, tmp_path / "a.zip", "other")
    (tmp_path / "empty").mkdir()
    export(model, tmp_path / "empty", "other")
    assert {path.name for path in (tmp_path / "empty").iterdir()} == FILES


def test_a_damaged_model_is_not_exported(model, tmp_path):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="damaged"):
        export(model, tmp_path / "out.tar.gz", "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize(
    ("found", "fix"),
    [(None, "a model of format 1, .*run the workflow again"), (99, "a model of format 99, .*install a newer srctrace")],
)
def test_another_format_is_refused_with_the_fix(model, tmp_path, found, fix):
    content = json.loads((model / DESCRIPTION).read_text())
    content.pop("format")
    (model / DESCRIPTION).write_text(json.dumps(content | ({} if found is None else {"format": found})))
    with pytest.raises(UserError, match=fix):
        load_checkpoint(resolve(str(model)))
    with pytest.raises(UserError, match=fix):
        export(model, tmp_path / "out", "other")


@pytest.mark.parametrize("names", [["best.pth"], ["model.pt", "notes.txt"], ["last.ckpt"], ["pytorch_model.bin"]])
def test_pickles_are_never_loaded(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"anything")
    looks = "a model is a folder with model.safetensors and model.json"
    with pytest.raises(UserError, match=f"{names[0]}: pickles are never loaded, as they can run any code: {looks}"):
        resolve(str(tmp_path))
    with pytest.raises(UserError, match=f"pickles are never loaded, as they can run any code: {looks}"):
        resolve(str(tmp_path / names[0]))


def test_what_is_no_model_is_refused(tmp_path, capsys):
    with pytest.raises(UserError, match=r"has no model.json: a model is a folder with"):
        resolve(str(tmp_path))
    assert main(["export", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"srctrace export: {tmp_path / 'none'}: no such folder\n"


def test_onnx_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"pip install 'srctrace\[export\]'"):
        export(model, tmp_path / "out", "other", onnx=True)
    assert not (tmp_path / "out").exists()
