"""Training, checkpoints and scores: deterministic, resumable, and refused when damaged."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from srctrace.checkpoint import Description, build, load_checkpoint, save_checkpoint
from srctrace.errors import UserError
from srctrace.outliers import make_outliers
from srctrace.score import Lists, score
from srctrace.tables import read_table
from srctrace.train import TrainOptions, train
from srctrace.trials import FeatureSets, batches, find_trials
from tests.small_features import SOURCES, VARIANTS, inputs, make_features

OPTIONS = TrainOptions(epochs=3, batch_size=8, crop_seconds=0.4, variants=("clean", "noise"))
SIZES = {"width": 4}


@pytest.fixture
def data(tmp_path):
    make_features(tmp_path)
    return tmp_path


def fit(data, out="model", options=OPTIONS, seed=1, system="lfcc-resnet18", sizes=SIZES, **changes):
    train(inputs(data), data / "splits" / "en.tsv", data / out, system, sizes, SOURCES, seed, options, **changes)
    return (data / out / "model.safetensors").read_bytes()


def command(data, out="model", epochs=3) -> list[str]:
    return [
        *(sys.executable, "-m", "srctrace", "train", "--features", data / "features"),
        *("--split", data / "splits" / "en.tsv", "--system", "lfcc-resnet18", "--sizes", "width=4"),
        *(
            "--sources",
            data / "sources.tsv",
            "--seed",
            "1",
            "--epochs",
            str(epochs),
            "--batch-size",
            "8",
            "--crop-seconds",
            "0.4",
        ),
        *("--variants", "clean", "noise", "--device", "cpu", "--out", data / out),
    ]


def test_same_seed_same_bytes(data):
    first = fit(data, "one")
    assert fit(data, "two") == first
    assert (data / "one" / "model.json").read_bytes() == (data / "two" / "model.json").read_bytes()
    assert fit(data, "three", seed=2) != first


def test_it_learns(data):
    fit(data, options=TrainOptions(epochs=12, batch_size=8, variants=("clean",)))
    history = read_table(data / "model" / "history.tsv", ["epoch", "train_loss", "dev_macro_f1", "lr", "seconds"])
    assert len(history) == 12
    assert float(history[-1]["train_loss"]) < 0.3 * float(history[0]["train_loss"])
    assert max(float(row["dev_macro_f1"]) for row in history) > 0.9


@pytest.mark.parametrize(
    ("system", "sizes"),
    [
        ("lfcc-resnet18", {"width": 2}),
        ("lfcc-ecapa-tdnn", {"channels": 8, "mfa_channels": 8}),
        ("lfcc-aasist", {"channels": [4, 4]}),
    ],
)
def test_every_system_trains_by_the_published_recipe(data, system, sizes):
    options = TrainOptions(
        epochs=2,
        batch_size=16,
        lr=5e-4,
        weight_decay=5e-4,
        schedule="halve",
        halve_every=1,
        mixup=0.5,
        select="loss",
        variants=("clean", "noise"),
    )
    fit(data, options=options, system=system, sizes=sizes)
    history = read_table(data / "model" / "history.tsv", ["lr", "dev_loss"])
    assert [float(row["lr"]) for row in history] == [5e-4, 2.5e-4]
    best = min(range(2), key=lambda index: float(history[index]["dev_loss"]))
    _, description = load_checkpoint(data / "model")
    assert description.training["reached"]["best_epoch"] == best + 1


def test_dropped_loss_is_selected_on_dev_macro_f1_by_default(data):
    fit(data)
    history = read_table(data / "model" / "history.tsv", ["dev_macro_f1"])
    _, description = load_checkpoint(data / "model")
    best = max(float(row["dev_macro_f1"]) for row in history)
    assert description.training["reached"]["dev_macro_f1"] == pytest.approx(best, abs=1e-6)


def sureness(data, name: str) -> tuple[float, float]:
    """Mean maximum probability of dev trials, and of outliers made of them."""
    model, _ = load_checkpoint(data / name)
    rows = [row for row in read_table(data / "splits" / "en.tsv", []) if row["split"] == "dev"]
    features, labels = next(batches(find_trials(inputs(data)(["en"]), rows, ["clean"], SOURCES), len(rows)))
    outliers = make_outliers(features, labels, np.random.default_rng(0))
    with torch.inference_mode():
        return tuple(model(each)[1].softmax(dim=1).max(dim=1).values.mean().item() for each in (features, outliers))


@pytest.mark.parametrize("changed", [{}, {"mixup": 0.5}, {"loss": "aam", "scale": 8.0}])
def test_outlier_exposure_makes_a_model_unsure_of_outliers(data, changed):
    options = TrainOptions(epochs=12, batch_size=8, **changed)
    fit(data, "plain", options)
    first = fit(data, "exposed", replace(options, outliers=1.0))
    assert fit(data, "again", replace(options, outliers=1.0)) == first
    (plain, fooled), (exposed, unsure) = sureness(data, "plain"), sureness(data, "exposed")
    assert unsure < fooled - 0.1
    assert exposed - unsure > plain - fooled  # of known trials it stays surer


def test_the_margin_s_classifier_is_kept_with_the_model(data):
    fit(data, options=TrainOptions(epochs=12, batch_size=8, loss="aam", scale=8.0))
    model, description = load_checkpoint(data / "model")
    assert description.scale == model.backend.classifier.scale == 8.0
    history = read_table(data / "model" / "history.tsv", ["dev_macro_f1"])
    assert max(float(row["dev_macro_f1"]) for row in history) > 0.9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_ends_with_the_same_weights(data, number):
    subprocess.run(command(data, "whole", epochs=30), check=True, stderr=subprocess.DEVNULL)
    process = subprocess.Popen(command(data, "broken", epochs=30), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((data / "broken").glob("last-*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(number)
    status = process.wait(timeout=60)
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    assert not (data / "broken" / "model.safetensors").exists()
    again = subprocess.run(command(data, "broken", epochs=30), check=False, stderr=subprocess.PIPE, text=True)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "resuming in epoch" in again.stderr
    for name in ("model.safetensors", "model.json"):
        assert (data / "broken" / name).read_bytes() == (data / "whole" / name).read_bytes()
    assert not list((data / "broken").glob("last-*.ckpt"))


def test_a_damaged_or_foreign_last_state_is_not_taken_up(data, monkeypatch):
    expected = fit(data, "whole")
    (data / "model").mkdir()
    monkeypatch.setattr("srctrace.checkpoint.save", lambda *_: pytest.fail("stopped before the end"))
    with pytest.raises(BaseException, match="stopped before the end"):
        train(inputs(data), data / "splits" / "en.tsv", data / "model", "lfcc-resnet18", SIZES, SOURCES, 1, OPTIONS)
    monkeypatch.undo()
    (last,) = (data / "model").glob("last-*.ckpt")
    last.write_bytes(last.read_bytes()[:100])
    last.with_name("last-0123456789ab.ckpt").write_bytes(b"of a run with another recipe")
    assert fit(data) == expected
    assert not list((data / "model").glob("last-*"))


@pytest.mark.parametrize("batch_size", [2, 4])
def test_no_batch_has_a_single_utterance(data, batch_size):
    """With 36 trials a crash would need an odd number: one is taken away."""
    path = data / "splits" / "en.tsv"
    lines = path.read_text().splitlines(True)
    lines.remove(next(line for line in lines if line.startswith("train")))
    path.write_text("".join(lines))
    options = TrainOptions(epochs=1, batch_size=batch_size, variants=("clean",))
    fit(data, options=options, system="lfcc-ecapa-tdnn", sizes={"channels": 16})


def test_a_source_that_is_not_among_those_given_is_named(data):
    with pytest.raises(UserError, match=r"is of source .*, which is not among those given"):
        train(
            *(inputs(data), data / "splits" / "en.tsv", data / "model", "lfcc-resnet18", SIZES, SOURCES[:-1], 1),
            OPTIONS,
        )


def test_no_classes_in_dev_is_told(data):
    path = data / "splits" / "en.tsv"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("dev")))
    with pytest.raises(UserError, match="no dev rows"):
        fit(data)


def test_a_loss_that_is_not_finite_is_told(data):
    with pytest.raises(UserError, match=r"loss is (nan|inf) in epoch 1, step \d+ of 5: lower lr"):
        fit(data, options=TrainOptions(epochs=3, batch_size=8, lr=1e30, variants=("clean",)))


def test_languages_made_differently_are_refused(data):
    make_features(data, "de", {"hop_length": 80})
    with pytest.raises(UserError, match=r"en\.npy: made with other front-end options"):
        FeatureSets.open(data / "features", ["de", "en"])


def test_scores_are_the_models_probabilities(data):
    fit(data)
    make_features(data, "de")
    splits = [data / "splits" / "en.tsv", data / "splits" / "de.tsv"]
    score(
        data / "model",
        inputs(data),
        Lists(splits, data / "splits" / "en.tsv"),
        VARIANTS,
        data / "scores",
        data / "scores" / "embeddings.npy",
    )
    model, description = load_checkpoint(data / "model")
    assert description.sources == SOURCES
    rows = read_table(data / "scores" / "de.tsv", ["utterance", "variant", "label", "predicted"])
    assert len(rows) == 3 * 6 * 2
    sets = FeatureSets.open(data / "features", ["de"])
    index = {(r["utterance"], r["variant"]): i for i, r in enumerate(sets.stores["de"].rows)}
    for row in rows[::7]:
        features = sets.stores["de"].record(index[row["utterance"], row["variant"]])
        with torch.inference_mode():
            expected = model(torch.from_numpy(features.copy())[None])[1].softmax(dim=1)[0].numpy()
        given = [float(row[f"p_{source}"]) for source in SOURCES]
        np.testing.assert_allclose(given, expected, atol=2e-6)
        assert row["predicted"] == SOURCES[int(np.argmax(expected))]
        assert row["label"] == row["utterance"].split("/")[1]


@pytest.mark.parametrize("file", ["model.safetensors", "model.json"])
def test_a_damaged_checkpoint_is_named(data, file):
    fit(data)
    path = data / "model" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match=file.replace(".", r"\.")):
        load_checkpoint(data / "model")


def test_a_missing_or_edited_checkpoint_is_told(data):
    with pytest.raises(UserError, match=r"model\.json: no such file"):
        load_checkpoint(data / "nowhere")
    fit(data)
    path = data / "model" / "model.json"
    content = json.loads(path.read_text())
    del content["sources"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"model\.json: damaged"):
        load_checkpoint(data / "model")


@pytest.mark.parametrize("key", ["sources", "sizes", "n_features", "training"])
def test_an_edited_description_is_refused(data, key):
    """With the sources in another order every answer would be wrong."""
    fit(data)
    path = data / "model" / "model.json"
    content = json.loads(path.read_text())
    content[key] = content[key][::-1] if key == "sources" else 41 if key == "n_features" else {"width": 5}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"model\.json: changed since the model was trained"):
        load_checkpoint(data / "model")
    path.write_text("3")
    with pytest.raises(UserError, match=r"model\.json: damaged"):
        load_checkpoint(data / "model")


def store(folder, change=None, weights=None):
    """A model whose digests agree, whatever it is."""
    description = Description(
        *("lfcc-resnet18", {"frontend": "lfcc", "seconds": 0.6}, 40, "resnet18", {"width": 4}, SOURCES),
        {"languages": ["en"]},
        {},
    )
    state = weights or build(description).state_dict()
    save_checkpoint(folder, state, replace(description, **(change or {})))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": "abc"}, "sources are no list"),
        ({"sources": ["a"]}, "sources are no list"),
        ({"sources": ["a", "b", "b"]}, "sources are no list"),
        ({"sources": ["a", "b", 3]}, "sources are no list"),
        ({"sources": ["a", "b", "\x1b[31mc"]}, r"source '\\x1b\[31mc': has more"),
        ({"sources": ["a", "b", "c\td"]}, "has more"),
        ({"frontend": []}, "frontend is none of"),
        ({"frontend": {"frontend": "mel", "seconds": 1}}, "frontend is none of"),
        *(({"frontend": {"frontend": "lfcc", "seconds": s}}, "seconds") for s in (None, "4", True, 0, -1, 1e-9, 1e9)),
        ({"training": []}, "training has no list"),
        ({"training": {"languages": "en"}}, "training has no list"),
        ({"training": {"languages": ["en"], "reached": {"dev_macro_f1": "1"}}}, "not in numbers"),
        ({"n_features": 41}, "damaged"),
        ({"n_features": "40"}, "damaged"),
        ({"sources": ["a", "b"]}, "damaged"),
        ({"backend": []}, "damaged"),
        ({"sizes": 3}, "damaged"),
    ],
)
def test_a_foreign_model_whose_digests_agree_is_refused(tmp_path, change, message):
    store(tmp_path)
    load_checkpoint(tmp_path)
    store(tmp_path, change)
    with pytest.raises(UserError, match=message) as told:
        load_checkpoint(tmp_path)
    assert str(tmp_path) in str(told.value)
    assert str(told.value).isprintable()


def test_weights_that_are_not_those_of_the_model_are_refused(tmp_path):
    store(tmp_path)
    state = load_checkpoint(tmp_path)[0].state_dict()
    name = "backend.classifier.weight"
    store(tmp_path, weights={key: tensor for key, tensor in state.items() if key != name})
    with pytest.raises(UserError, match=f"damaged.*{name}"):
        load_checkpoint(tmp_path)
    for value in (float("nan"), float("inf")):
        state[name][0, 0] = value
        store(tmp_path, weights=state)
        with pytest.raises(UserError, match="holds NaN or infinity"):
            load_checkpoint(tmp_path)


def test_features_made_differently_from_the_models_are_refused(data):
    fit(data)
    make_features(data, "de", {"n_lfcc": 39})
    with pytest.raises(UserError, match="not made as what"):
        score(
            data / "model",
            inputs(data),
            Lists([data / "splits" / "de.tsv"], data / "splits" / "en.tsv"),
            VARIANTS,
            data / "scores",
            data / "scores" / "embeddings.npy",
        )
