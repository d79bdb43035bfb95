"""Pretraining: what it reads, what it writes, that it repeats and resumes, and that it learns."""

import os
import signal

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel, Wav2Vec2ForPreTraining

from srctrace.cli import main
from srctrace.errors import UserError
from srctrace.frontends.pretrain import PretrainOptions, _config, _Run, _start_as_envelopes, pretrain
from srctrace.protocol import COLUMNS
from srctrace.store import Store, write_store
from srctrace.tables import read_table, write_table

SPLITS = ("train", "train", "train", "train", "train", "train", "dev", "dev", "eval", "dev-unknown", "eval-unknown")
SMALL = {"channels": 16, "hidden": 16, "layers": 1, "heads": 2, "codevectors": 8, "negatives": 10, "mask_length": 3}
OPTIONS = PretrainOptions(**SMALL, steps=6, batch_size=4, seconds=0.5, report_every=3)


def tones(rng: np.random.Generator, samples: int = 16000) -> np.ndarray:
    """Three notes that take turns, each for 80 ms: what is masked can be told from what is not."""
    time_ = np.arange(samples) / 16000
    notes = rng.uniform(200, 3000, 3)[(time_ / 0.08).astype(int) % 3]
    return (8000 * np.sin(2 * np.pi * notes * time_) + rng.normal(0, 100, samples)).astype(np.int16)


@pytest.fixture
def data(tmp_path):
    """Waves of two languages, 1 s each, and their split table."""
    rng = np.random.default_rng(1)
    rows = []
    for language in ("de", "en"):
        names = [f"{language}/{number}" for number in range(len(SPLITS))]
        write_store(
            tmp_path / "waves" / f"{language}.npy", ["utterance"], [({"utterance": name}, tones(rng)) for name in names]
        )
        for name, split in zip(names, SPLITS, strict=True):
            row = dict.fromkeys(COLUMNS, "") | {"utterance": name, "split": split, "language": language, "source": "a"}
            rows.append(row)
    write_table(tmp_path / "split.tsv", COLUMNS, rows)
    return tmp_path


def fit(data, out="model", options=OPTIONS, seed=1) -> dict[str, bytes]:
    pretrain([data / "waves" / "de.npy", data / "waves" / "en.npy"], data / "split.tsv", data / out, seed, options)
    return contents(data / out)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_model_loads_as_a_published_one_does(data):
    fit(data, options=PretrainOptions(**SMALL, steps=2, batch_size=4, seconds=0.5, dropout=0.0))
    assert sorted(path.name for path in data.iterdir()) == ["model", "split.tsv", "waves"]
    model, unused = AutoModel.from_pretrained(data / "model", output_loading_info=True)
    assert not any(unused.values())
    extractor = AutoFeatureExtractor.from_pretrained(data / "model")
    assert extractor.do_normalize
    assert extractor.return_attention_mask
    inputs = extractor(np.random.default_rng(0).normal(size=64000), sampling_rate=16000, return_tensors="pt")
    states = model.eval()(inputs.input_values).last_hidden_state
    assert states.shape == (1, 199, 16)
    # Whoever goes on to train it gets no masks that they did not ask for.
    assert torch.equal(model.train()(inputs.input_values).last_hidden_state, states)


def test_history(data):
    fit(data)
    history = read_table(data / "model" / "history.tsv", [])
    assert [row["step"] for row in history] == ["3", "6"]
    for row in history:
        loss, contrastive, diversity = (float(row[name]) for name in ("loss", "contrastive", "diversity"))
        assert loss == pytest.approx(contrastive + 0.1 * diversity, abs=1e-5)
        assert 0 <= float(row["accuracy"]) <= 1
        assert 0 <= float(row["dev_accuracy"]) <= 1
        assert 2 <= float(row["perplexity"]) <= 16
    assert float(history[-1]["lr"]) > 0


def test_only_train_and_dev_are_read(data, monkeypatch):
    split_of = {row["utterance"]: row["split"] for row in read_table(data / "split.tsv", COLUMNS)}
    read, record = set(), Store.record

    def spy(store, index):
        read.add(split_of[store.rows[index]["utterance"]])
        return record(store, index)

    monkeypatch.setattr(Store, "record", spy)
    fit(data)
    assert read == {"train", "dev"}


def test_what_is_not_read_changes_nothing(data):
    weights = fit(data)["model.safetensors"]
    for language in ("de", "en"):
        array = np.load(data / "waves" / f"{language}.npy", mmap_mode="r+")
        array[[split not in ("train", "dev") for split in SPLITS]] = 0
        array.flush()
    assert fit(data, "other")["model.safetensors"] == weights


def test_same_seed_same_bytes(data):
    np.random.seed(3)  # noqa: NPY002 - the global generator, which transformers draws from, is left as it was
    first = fit(data, "one")
    assert np.random.random() == np.random.RandomState(3).random()  # noqa: NPY002
    torch.manual_seed(5)
    assert fit(data, "two") == first
    assert fit(data, "three", seed=2)["model.safetensors"] != first["model.safetensors"]
    fit(data, "one", seed=2)  # a folder that is there is replaced
    assert contents(data / "one") == contents(data / "three")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_ends_with_the_same_bytes(data, monkeypatch, capsys, number):
    whole = fit(data, "whole")
    step = _Run._step

    def interrupted(run):
        if run.progress.step == 3:
            os.kill(os.getpid(), number)
        return step(run)

    monkeypatch.setattr(_Run, "_step", interrupted)
    with pytest.raises(SystemExit) as stopped:
        fit(data)
    assert stopped.value.code == 128 + number
    assert not (data / "model").exists()
    assert len(list(data.glob("model.last-*.ckpt"))) == 1
    monkeypatch.undo()
    assert fit(data) == whole
    assert "resuming after step 4" in capsys.readouterr().err
    assert not list(data.glob("model.last-*"))


def test_the_command(data):
    flags = {**SMALL, "steps": 6, "batch_size": 4, "seconds": 0.5, "report_every": 3}
    status = main(
        [
            *("pretrain", "--waves", str(data / "waves" / "de.npy"), str(data / "waves" / "en.npy")),
            *("--split", str(data / "split.tsv"), "--out", str(data / "called"), "--seed", "1", "--device", "cpu"),
            *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items()),
        ]
    )
    assert status == 0
    assert contents(data / "called") == fit(data)


def test_a_damaged_state_is_not_taken_up(data, monkeypatch):
    whole = fit(data, "whole")
    monkeypatch.setattr("srctrace.frontends.pretrain.SAVE_SECONDS", -1)  # after every step
    monkeypatch.setattr("srctrace.frontends.pretrain.atomic_folder", lambda _: pytest.fail("stopped before the end"))
    with pytest.raises(BaseException, match="stopped before the end"):
        fit(data)
    monkeypatch.undo()
    (state,) = data.glob("model.last-*.ckpt")
    state.write_bytes(state.read_bytes()[:100])
    assert fit(data) == whole
    assert not list(data.glob("model.last-*"))


def test_it_learns(data):
    recipe = {"steps": 300, "batch_size": 8, "report_every": 50, "lr": 1e-2, "target_lr": 0.1, "noise": 0.0}
    fit(data, options=PretrainOptions(**SMALL, **recipe, seconds=0.5, dropout=0.0))
    last = read_table(data / "model" / "history.tsv", ["contrastive", "accuracy", "perplexity"])[-1]
    # A codebook of one entry would have no loss either.
    assert float(last["perplexity"]) > 5
    assert float(last["contrastive"]) < 0.9 * np.log(1 + SMALL["negatives"])
    assert float(last["accuracy"]) > 0.25


def test_the_latents_start_as_envelopes():
    """Latents of neighbouring frames have something in common: without that there is nothing to predict."""
    rng = np.random.default_rng(0)
    wave = torch.from_numpy(np.stack([tones(rng) for _ in range(4)]) / 8000).float()

    def likeness(noise: float) -> float:
        torch.manual_seed(0)
        model = Wav2Vec2ForPreTraining(_config(PretrainOptions(channels=64)))
        if noise < 1:
            _start_as_envelopes(model, noise)
        with torch.inference_mode():
            latents = model.wav2vec2.feature_extractor(wave)  # (batch, channels, frames)
        latents = latents - latents.mean(dim=(0, 2), keepdim=True)
        return torch.cosine_similarity(latents[..., 1:], latents[..., :-1], dim=1).mean().item()

    assert likeness(0.3) > 2 * abs(likeness(1.0)), (likeness(0.3), likeness(1.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": 1e9}, "the loss is nan in step .*: lower lr, or raise warm_up"),
        ({"seconds": 0.1}, "4 frames: too few for masks of 3"),
        ({"channels": 12}, "channels"),
        ({"heads": 3}, "heads"),
    ],
)
def test_what_is_wrong_is_told(data, changes, words):
    options = PretrainOptions(**{**SMALL, "steps": 6, "batch_size": 4, "seconds": 0.5, "warm_up": 0.0, **changes})
    with pytest.raises(UserError, match=words):
        fit(data, options=options)
    assert not (data / "model").exists()


def test_waves_that_are_not_there(data):
    with pytest.raises(UserError, match="'en/0' is in none of the waves given: give those of 'en'"):
        pretrain([data / "waves" / "de.npy"], data / "split.tsv", data / "model", 1, OPTIONS)
