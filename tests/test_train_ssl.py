"""Training with an SSL front-end: end to end or on stored hidden states, kept in a checkpoint that needs no hub."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from srctrace.checkpoint import load_checkpoint
from srctrace.errors import UserError
from srctrace.features import Utterances
from srctrace.frontends.frozen import pack_hidden
from srctrace.frontends.options import SslOptions
from srctrace.frontends.ssl import load_encoder, read_pinned
from srctrace.frontends.tiny import HIDDEN, LAYERS, make_checkpoint
from srctrace.frontends.weights import locate, pin
from srctrace.manifest import write_sources
from srctrace.protocol import COLUMNS, read_split
from srctrace.score import Lists, score
from srctrace.store import write_store
from srctrace.tables import read_table, write_table
from srctrace.train import TrainOptions, _Run, train
from srctrace.trials import FeatureSets, WaveSets
from tests.noise_files import small_bank

SOURCES = ["a", "b"]
COUNTS = {"train": 8, "dev": 3, "eval": 4}
SAMPLES = 16_000
SIZES = {"channels": 16, "mfa_channels": 16}
OPTIONS = TrainOptions(epochs=2, batch_size=8, lr=1e-3, ssl_lr=1e-4, crop_seconds=0.5, variants=("clean", "noise"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Waveforms of two sources, dull and bright noise, with a split, a noise bank and a checkpoint."""
    root = tmp_path_factory.mktemp("ssl")
    rng = np.random.default_rng(0)
    rows, records = [], []
    for split, count in COUNTS.items():
        for source in SOURCES:
            for number in range(count):
                name = f"en/{source}/{split}{number}"
                rows.append(
                    dict.fromkeys(COLUMNS, "") | {"split": split, "utterance": name, "language": "en", "source": source}
                )
                noise = rng.normal(size=SAMPLES + 1)
                wave = noise[1:] + (0.9 if source == "a" else -0.9) * noise[:-1]
                records.append(({"utterance": name}, (2000 * wave).astype(np.int16)))
    write_store(root / "waves" / "en.npy", ["utterance"], records)
    write_table(root / "splits" / "en.tsv", COLUMNS, rows)
    write_sources(root / "sources.tsv", SOURCES)
    small_bank(root)
    make_checkpoint("wav2vec2", root / "checkpoint", seed=2)
    pin(str(root / "checkpoint"), "main", root / "checkpoint.json")
    return root


def waves(data):
    return partial(WaveSets.open, data / "waves", data / "bank.npy", 0)


def encoder(data, layers="last"):
    record = read_pinned(data / "checkpoint.json")
    return lambda: load_encoder(locate(record), record, layers)


def fit(data, out, options=OPTIONS, system="tiny-ecapa-tdnn", sizes=SIZES, layers="last", seed=1):
    """Train on waveforms; returns the weights."""
    split = data / "splits" / "en.tsv"
    train(waves(data), split, out, system, sizes, SOURCES, seed, options, load_ssl=encoder(data, layers))
    return load_file(out / "model.safetensors")


def command(data, out, epochs) -> list:
    return [
        *(sys.executable, "-m", "srctrace", "train", "--waves", data / "waves", "--bank", data / "bank.npy"),
        *("--checkpoint", data / "checkpoint.json", "--layers", "weighted", "--split", data / "splits" / "en.tsv"),
        *("--system", "tiny-ecapa-tdnn", "--sizes", "channels=16", "mfa_channels=16"),
        *("--sources", data / "sources.tsv", "--epochs", str(epochs), "--batch-size", "8", "--ssl-lr", "1e-4"),
        *("--clip", "1", "--warmup", "0.2", "--variants", "clean", "--device", "cpu", "--out", out),
    ]


@pytest.mark.parametrize(
    ("backend", "sizes"),
    [("resnet18", {"width": 2}), ("ecapa-tdnn", SIZES), ("aasist", {"channels": [4, 4]})],
)
@pytest.mark.parametrize("layers", ["last", "weighted", 1])
def test_every_back_end_trains_on_every_kind_of_features(data, tmp_path, backend, sizes, layers):
    system = f"tiny-{backend}"
    fit(data, tmp_path / "tuned", system=system, sizes=sizes, layers=layers)
    split_of = {row["utterance"]: row["split"] for row in read_split(data / "splits" / "en.tsv")}
    utterances = Utterances.open(data / "waves" / "en.npy", data / "bank.npy", split_of, ["clean", "noise"], 0)
    pack_hidden(utterances, read_pinned(data / "checkpoint.json"), layers, tmp_path / "hidden" / "en.npy", SslOptions())
    stored = partial(FeatureSets.open, tmp_path / "hidden")
    train(stored, data / "splits" / "en.tsv", tmp_path / "frozen", system, sizes, SOURCES, 1, OPTIONS)
    for folder, inputs in ((tmp_path / "tuned", waves(data)), (tmp_path / "frozen", stored)):
        model, description = load_checkpoint(folder)
        assert description.n_features == HIDDEN
        assert description.n_layers == (LAYERS + 1 if layers == "weighted" else 0)
        assert (model.ssl is not None) == (folder.name == "tuned") == bool(description.ssl)
        score(
            folder,
            inputs,
            Lists([data / "splits" / "en.tsv"], data / "splits" / "en.tsv"),
            ["clean", "noise"],
            folder,
            folder / "embeddings.npy",
        )
        rows = read_table(folder / "en.tsv", ["utterance", "variant", "label", "predicted", "p_a", "p_b"])
        assert len(rows) == 2 * 2 * COUNTS["eval"]
        assert all(float(row["p_a"]) + float(row["p_b"]) == pytest.approx(1, abs=1e-5) for row in rows)


def test_before_training_both_give_the_same(data, tmp_path):
    """With a learning rate of almost 0, a fine-tuned model is a frozen one: same features, same standardisation."""
    options = TrainOptions(epochs=1, batch_size=16, lr=1e-9, ssl_lr=1e-9, variants=("clean",))
    tuned = fit(data, tmp_path / "tuned", options)
    split_of = {row["utterance"]: row["split"] for row in read_split(data / "splits" / "en.tsv")}
    utterances = Utterances.open(data / "waves" / "en.npy", data / "bank.npy", split_of, ["clean"], 0)
    record = read_pinned(data / "checkpoint.json")
    pack_hidden(utterances, record, "last", tmp_path / "hidden" / "en.npy", SslOptions(), "float32")
    stored = partial(FeatureSets.open, tmp_path / "hidden")
    train(stored, data / "splits" / "en.tsv", tmp_path / "frozen", "tiny-ecapa-tdnn", SIZES, SOURCES, 1, options)
    frozen = load_file(tmp_path / "frozen" / "model.safetensors")
    for name in ("mean", "deviation"):
        torch.testing.assert_close(tuned[name], frozen[name], atol=1e-5, rtol=1e-4)


def test_it_learns_and_the_front_end_does_too(data, tmp_path):
    options = TrainOptions(epochs=10, batch_size=8, lr=3e-3, ssl_lr=1e-3, warmup=0.1, clip=1.0, variants=("clean",))
    weights = fit(data, tmp_path, options, layers="weighted")
    history = read_table(tmp_path / "history.tsv", ["train_loss"])
    assert float(history[-1]["train_loss"]) < 0.3 * float(history[0]["train_loss"])
    before = encoder(data)().state_dict()
    name = "model.encoder.layers.2.feed_forward.output_dense.weight"
    assert not torch.equal(weights[f"ssl.{name}"], before[name])
    assert weights["layer_weights"].abs().max() > 0


def test_what_is_frozen_is_as_it_was(data, tmp_path):
    options = TrainOptions(epochs=1, batch_size=8, ssl_lr=1e-2, freeze_layers=2, variants=("clean",))
    weights = fit(data, tmp_path, options)
    changed = {
        name for name, tensor in encoder(data)().state_dict().items() if not torch.equal(weights[f"ssl.{name}"], tensor)
    }
    assert changed
    assert all(name.startswith(("model.encoder.layers.2.", "model.encoder.layer_norm.")) for name in changed)


def test_gradient_checkpointing_gives_the_same_model(data, tmp_path):
    plain = fit(data, tmp_path / "plain")
    again = fit(data, tmp_path / "again", TrainOptions(**OPTIONS.__dict__ | {"gradient_checkpointing": True}))
    for name, tensor in plain.items():
        torch.testing.assert_close(again[name], tensor, atol=1e-3, rtol=1e-2, msg=name)


def test_same_seed_same_bytes(data, tmp_path):
    for out, seed in (("one", 1), ("two", 1), ("three", 2)):
        fit(data, tmp_path / out, seed=seed)
    one, two, three = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("one", "two", "three"))
    assert one == two != three
    assert (tmp_path / "one" / "model.json").read_bytes() == (tmp_path / "two" / "model.json").read_bytes()


def test_an_interrupted_run_ends_with_the_same_weights(data, tmp_path):
    subprocess.run(command(data, tmp_path / "whole", 12), check=True, stderr=subprocess.DEVNULL)
    process = subprocess.Popen(command(data, tmp_path / "broken", 12), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "broken").glob("last-*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    again = subprocess.run(command(data, tmp_path / "broken", 12), check=True, stderr=subprocess.PIPE, text=True)
    assert "resuming in epoch" in again.stderr
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_fine_tuned_model_needs_no_checkpoint_of_others(data, tmp_path):
    """The folder is all there is: what it began with may be gone, and the hub is not asked."""
    moved = tmp_path / "moved"
    shutil.copytree(data, moved)
    record = json.loads((moved / "checkpoint.json").read_text()) | {"checkpoint": str(moved / "checkpoint")}
    (moved / "checkpoint.json").write_text(json.dumps(record))
    fit(moved, tmp_path / "model")
    splits = [data / "splits" / "en.tsv"]
    score(
        tmp_path / "model",
        waves(data),
        Lists(splits, data / "splits" / "en.tsv"),
        ["clean"],
        tmp_path / "before",
        tmp_path / "before" / "embeddings.npy",
    )
    shutil.rmtree(moved)
    score(
        tmp_path / "model",
        waves(data),
        Lists(splits, data / "splits" / "en.tsv"),
        ["clean"],
        tmp_path / "after",
        tmp_path / "after" / "embeddings.npy",
    )
    assert (tmp_path / "before" / "en.tsv").read_bytes() == (tmp_path / "after" / "en.tsv").read_bytes()


def test_batches_do_not_change_scores(data, tmp_path):
    fit(data, tmp_path / "model")
    for seconds in (1, 100):
        options = SslOptions(batch_seconds=seconds)
        splits = [data / "splits" / "en.tsv"]
        score(
            tmp_path / "model",
            waves(data),
            Lists(splits, data / "splits" / "en.tsv"),
            ["clean"],
            tmp_path / str(seconds),
            tmp_path / str(seconds) / "embeddings.npy",
            ssl_options=options,
        )
    one, other = (read_table(tmp_path / out / "en.tsv", ["p_a"]) for out in ("1", "100"))
    assert [float(row["p_a"]) for row in one] == pytest.approx([float(row["p_a"]) for row in other], abs=1e-5)


def test_a_model_of_waveforms_is_given_no_features_nor_other_noise(data, tmp_path):
    fit(data, tmp_path / "model")
    other = partial(WaveSets.open, data / "waves", data / "bank.npy", 1)
    with pytest.raises(UserError, match="not made as what"):
        score(
            tmp_path / "model",
            other,
            Lists([data / "splits" / "en.tsv"], data / "splits" / "en.tsv"),
            ["clean"],
            tmp_path / "scores",
            tmp_path / "scores" / "embeddings.npy",
        )


@pytest.mark.parametrize(
    ("schedule", "warmup", "factors"),
    [
        ("halve", 0.0, [1, 1, 0.5, 0.5]),
        ("halve", 0.5, [0.5, 1, 0.5, 0.5]),
        ("cosine", 0.0, [1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]),
    ],
)
def test_learning_rates_of_both_parts(data, tmp_path, monkeypatch, schedule, warmup, factors):
    """With one step an epoch, four of them."""
    seen = []
    step = _Run._step

    def watched(run, *arguments):
        seen.append([group["lr"] for group in run.optimizer.param_groups])
        return step(run, *arguments)

    monkeypatch.setattr(_Run, "_step", watched)
    common = {"epochs": 4, "batch_size": 16, "halve_every": 2, "variants": ("clean",)}
    fit(data, tmp_path, TrainOptions(lr=1e-3, ssl_lr=1e-5, schedule=schedule, warmup=warmup, **common))
    assert seen == [pytest.approx([1e-3 * factor, 1e-5 * factor]) for factor in factors]


def test_a_gradient_is_clipped(data, tmp_path, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def watched(parameters, limit):
        parameters = list(parameters)
        found = clip(parameters, limit)
        after = torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm()
        norms.append((found.item(), after.item()))
        return found

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watched)
    fit(data, tmp_path, TrainOptions(epochs=1, batch_size=8, clip=0.01, variants=("clean",)))
    assert len(norms) == 2
    assert all(before > 0.01 and after <= 0.0101 for before, after in norms)


def test_a_diverging_run_stops_and_keeps_the_last_good_state(data, tmp_path, monkeypatch):
    step = _Run._step

    def diverging(run, inputs, targets, epoch, number):
        if epoch == 3:
            with torch.no_grad():
                run.model.ssl.model.encoder.layers[0].attention.v_proj.weight.fill_(float("nan"))
        return step(run, inputs, targets, epoch, number)

    monkeypatch.setattr(_Run, "_step", diverging)
    options = TrainOptions(epochs=5, batch_size=8, variants=("clean",))
    told = (
        r"the loss is nan in epoch 3, step 1 of 2: lower lr and ssl_lr, or raise warmup; .*last-.*\.ckpt has the state"
    )
    with pytest.raises(UserError, match=told):
        fit(data, tmp_path, options)
    (last,) = tmp_path.glob("last-*.ckpt")
    content = torch.load(last, weights_only=True)
    assert content["progress"]["epoch"] == 2
    assert all(torch.isfinite(tensor).all() for tensor in content["model"].values())
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_bad_gradient_never_reaches_the_weights(data, tmp_path, monkeypatch, clip):
    """In the last step of an epoch, after which the state is saved."""
    backward = torch.Tensor.backward
    steps = []

    def spoiled(loss, *arguments, **words):
        steps.append(1)
        backward(loss * float("nan") if len(steps) == 4 else loss, *arguments, **words)

    monkeypatch.setattr(torch.Tensor, "backward", spoiled)
    options = TrainOptions(epochs=3, batch_size=8, clip=clip, variants=("clean",))
    with pytest.raises(UserError, match="the gradient's norm is nan in epoch 2, step 2 of 2"):
        fit(data, tmp_path, options)
    (last,) = tmp_path.glob("last-*.ckpt")
    content = torch.load(last, weights_only=True)
    assert content["progress"]["epoch"] == 1
    assert all(torch.isfinite(tensor).all() for tensor in content["model"].values())


def test_a_dev_loss_that_is_not_finite_is_told(data, tmp_path, monkeypatch):
    monkeypatch.setattr("srctrace.train.evaluate", lambda *_: (float("nan"), 0.5))
    with pytest.raises(UserError, match="the dev loss is nan in epoch 1, step 2 of 2"):
        fit(data, tmp_path, TrainOptions(epochs=2, batch_size=8, select="loss", variants=("clean",)))
    assert not list(tmp_path.glob("*"))


def test_a_signal_in_the_dev_pass_is_heeded(data, tmp_path, monkeypatch):
    """It goes on with that pass, and ends with the same weights."""
    from srctrace import train as module

    options = TrainOptions(epochs=3, batch_size=4, variants=("clean",))
    whole = fit(data, tmp_path / "whole", options)
    evaluate, passes = module.evaluate, []

    def interrupted(model, trials, size, device, between):
        passes.append(1)
        if len(passes) == 2:
            signal.raise_signal(signal.SIGTERM)
        return evaluate(model, trials, size, device, between)

    monkeypatch.setattr(module, "evaluate", interrupted)
    with pytest.raises(SystemExit) as stopped:
        fit(data, tmp_path / "broken", options)
    assert stopped.value.code == 128 + signal.SIGTERM
    monkeypatch.undo()
    again = fit(data, tmp_path / "broken", options)
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())
    assert len(read_table(tmp_path / "broken" / "history.tsv", ["epoch"])) == 3


def test_other_noise_is_another_run(data, tmp_path):
    fit(data, tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    assert content["provenance"]["inputs_crc32"].keys() == {"en", "noise"}


def test_a_gradient_that_is_not_finite_is_told(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(float("inf")))
    with pytest.raises(UserError, match="the gradient's norm is inf in epoch 1, step 1 of 2"):
        fit(data, tmp_path, TrainOptions(epochs=1, batch_size=8, clip=1.0, variants=("clean",)))


def test_memory_that_is_too_small_is_told_with_what_to_lower(data, tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total …")

    monkeypatch.setattr("srctrace.frontends.ssl.SslEncoder.forward", fail)
    told = r"Tried to allocate 2.00 GiB.\): in the system's recipe, set batch_size to 4 \(it is 8\), or gradient_"
    with pytest.raises(UserError, match=told):
        fit(data, tmp_path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--waves", "w", "--bank", "b"], "--waves and --checkpoint go together"),
        (["--features", "f", "--checkpoint", "c"], "--waves and --checkpoint go together"),
        (["--waves", "w"], "give --features, or --waves and --bank"),
        ([], "give --features, or --waves and --bank"),
    ],
)
def test_what_does_not_go_together_is_told(data, tmp_path, capsys, words, told):
    from srctrace.cli import main

    rest = ["--split", "s", "--system", "a-aasist", "--sources", str(data / "sources.tsv"), "--out", "o"]
    assert main(["train", *words, *rest]) == 2
    assert told in capsys.readouterr().err


def test_outliers_are_made_of_features_only(data):
    with pytest.raises(UserError, match="outliers are made of features, and this one is given waveforms"):
        fit(data, data / "refused", replace(OPTIONS, outliers=0.5))
