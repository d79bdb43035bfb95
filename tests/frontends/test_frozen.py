"""Stored hidden states are those of the waveforms that fine-tuning is given, and of the LFCCs' variants."""

import json
import re
import shutil
from collections import namedtuple
from functools import partial

import numpy as np
import pytest
import soundfile
import torch

from srctrace.bank import pack_bank
from srctrace.cli import main
from srctrace.errors import UserError
from srctrace.features import Utterances, pack_lfcc
from srctrace.frontends.frozen import pack_hidden
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.frontends.options import SslOptions
from srctrace.frontends.ssl import load_encoder, read_pinned
from srctrace.frontends.tiny import HIDDEN, LAYERS, make_checkpoint
from srctrace.frontends.weights import locate, pin
from srctrace.trials import FeatureSets, WaveSets, batches, find_trials
from srctrace.waves import pack_waves

RATE = 16000
VARIANTS = ["clean", "noise", "music", "babble", "reverb"]
SOURCES = ["a", "b"]
SPLIT_OF = {f"u{index}": split for index, split in enumerate(("train", "dev", "eval", "train", "eval"))}
ROWS = [
    {"utterance": name, "split": split, "language": "en", "source": SOURCES[index % 2]}
    for index, (name, split) in enumerate(SPLIT_OF.items())
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    rng = np.random.default_rng(0)
    for category, count in (("musan/noise", 3), ("musan/music", 3), ("musan/speech", 9), ("rirs", 3), ("en", 6)):
        (folder / category).mkdir(parents=True)
        for index in range(count):
            soundfile.write(folder / category / f"{index}.wav", rng.normal(0, 0.1, RATE + 100 * index), RATE)
    pack_bank(folder / "musan", folder / "rirs", folder / "bank.npy", seed=0)
    utterances = [{"utterance": f"u{index}", "path": f"en/{index}.wav"} for index in range(6)]
    pack_waves(utterances, folder, folder / "waves" / "en.npy", 1.5, seed=0)
    make_checkpoint("wav2vec2", folder / "checkpoint", seed=2)
    pin(str(folder / "checkpoint"), "main", folder / "checkpoint.json")
    return folder


def utterances_of(root, variants=VARIANTS):
    return Utterances.open(root / "waves" / "en.npy", root / "bank.npy", SPLIT_OF, variants, seed=7)


def waves_of(root):
    return WaveSets.open(root / "waves", root / "bank.npy", 7, ["en"])


def pack(root, layers="last", stored="float32", name="hidden", seconds=64.0, variants=VARIANTS):
    record = read_pinned(root / "checkpoint.json")
    options = SslOptions(batch_seconds=seconds)
    pack_hidden(utterances_of(root, variants), record, layers, root / name / "en.npy", options, stored)
    return FeatureSets.open(root / name, ["en"])


@pytest.mark.parametrize(("layers", "shape"), [("last", ()), (1, ()), ("weighted", (LAYERS + 1,))])
def test_they_are_those_of_the_variants_waveforms(root, layers, shape):
    sets = pack(root, layers)
    assert sets.shape == (*shape, HIDDEN, 74)
    assert sets.rate == 50
    stored = find_trials(sets, ROWS, VARIANTS, SOURCES)
    waves = find_trials(waves_of(root), ROWS, VARIANTS, SOURCES)
    assert [(trial.utterance, trial.variant, trial.label) for trial in stored] == [
        (trial.utterance, trial.variant, trial.label) for trial in waves
    ]
    record = read_pinned(root / "checkpoint.json")
    encoder = load_encoder(locate(record), record, layers).eval()
    for one, other in zip(stored, waves, strict=True):
        with torch.inference_mode():
            expected = encoder(torch.from_numpy(other.read())[None])[0].numpy()
        np.testing.assert_allclose(one.read(), expected, atol=2e-5, rtol=1e-4)


def test_waveforms_are_those_that_lfccs_are_computed_of(root):
    """LFCC and SSL systems are trained and tested on the same trials: same crop, same noise, same level."""
    pack_lfcc(utterances_of(root), root / "lfcc" / "en.npy", LfccOptions())
    features = find_trials(FeatureSets.open(root / "lfcc", ["en"]), ROWS, VARIANTS, SOURCES)
    waves = find_trials(waves_of(root), ROWS, VARIANTS, SOURCES)
    for one, other in zip(features, waves, strict=True):
        np.testing.assert_array_equal(one.read(), lfcc(other.read()[None], LfccOptions())[0])


def test_batches_change_nothing(root):
    one = pack(root, name="one", seconds=0.1)
    all_together = pack(root, name="all", seconds=1000.0)
    np.testing.assert_allclose(one.stores["en"].array, all_together.stores["en"].array, atol=2e-5, rtol=1e-4)
    assert one.stores["en"].rows[0].keys() == all_together.stores["en"].rows[0].keys()
    again = pack(root, name="again", seconds=1000.0)
    assert again.stores["en"].array.tobytes() == all_together.stores["en"].array.tobytes()


def test_half_the_disk_for_a_thousandth_of_the_precision(root):
    whole, half = pack(root, name="whole"), pack(root, stored="float16", name="half")
    assert half.stores["en"].array.dtype == np.float16
    np.testing.assert_allclose(half.stores["en"].array, whole.stores["en"].array, atol=1e-3, rtol=1e-3)
    inputs, _ = next(batches(find_trials(half, ROWS, VARIANTS, SOURCES), 4))
    assert inputs.dtype == torch.float32


def test_what_it_takes_is_said_before_and_how_fast_it_was_after(root, capfd):
    pack(root, "weighted", "float16", variants=["clean"])
    size = 5 * (LAYERS + 1) * HIDDEN * 74 * 2
    said = capfd.readouterr().out
    assert f"5 utterances in 1 variants, {LAYERS + 1} x {HIDDEN} x 74 float16 each: {size / 1e9:.3g} GB" in said
    assert re.search(r"5 trials in [\d.]+ s: [\d.]+ trials/s, \d+ times real time; \d+% of it in the model", said)


def test_a_disk_that_is_too_small_is_told_before_anything_is_computed(root, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 1000))
    monkeypatch.setattr("srctrace.frontends.ssl.SslEncoder.forward", lambda *_: pytest.fail("computed"))
    with pytest.raises(UserError, match="GB are needed"):
        pack(root, name="nowhere")
    assert not (root / "nowhere" / "en.npy").exists()


@pytest.mark.parametrize(("scale", "stored"), [(1e5, "float16"), (np.inf, "float32")])
def test_a_hidden_state_that_cannot_be_stored_is_named(root, monkeypatch, scale, stored):
    from srctrace.frontends.ssl import SslEncoder

    forward = SslEncoder.forward
    monkeypatch.setattr(SslEncoder, "forward", lambda *arguments: scale * forward(*arguments))
    with pytest.raises(UserError, match=r"a hidden state of 'u0' \(clean\) is not finite: .* set it to float32"):
        pack(root, stored=stored, name="large")
    assert not (root / "large" / "en.npy").exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_memory_that_is_too_small_is_told_with_what_to_lower(root, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("srctrace.frontends.ssl.SslEncoder.forward", fail)
    with pytest.raises(UserError, match=r"out of (GPU )?memory \(.+\): set ssl\.batch_seconds to 32 or less"):
        pack(root, name="nowhere")


def test_the_command_writes_the_same(root, capfd):
    split = root / "split.tsv"
    columns = ["split", "utterance", "language", "source", "speaker", "sentence", "seen_speaker", "origin"]
    lines = ["\t".join(columns)]
    lines += ["\t".join(row.get(column, "") for column in columns) for row in ROWS]
    split.write_text("\n".join(lines) + "\n")
    words = ["extract-hidden", "--waves", root / "waves" / "en.npy", "--bank", root / "bank.npy", "--split", split]
    words += ["--variants", *VARIANTS, "--seed", 7, "--checkpoint", root / "checkpoint.json", "--layers", 2]
    assert main([str(word) for word in [*words, "--device", "cpu", "--out", root / "command" / "en.npy"]]) == 0
    by_hand = pack(root, 2, "float16", name="hand")
    for suffix in (".npy", ".tsv", ".json"):
        assert (root / f"command/en{suffix}").read_bytes() == (root / f"hand/en{suffix}").read_bytes()
    made = json.loads((root / "command" / "en.json").read_text())
    assert made == by_hand.made
    assert made["layers"] == 2
    assert made["files"] == read_pinned(root / "checkpoint.json")["files"]


def test_an_utterance_without_audio_is_named(root):
    with pytest.raises(UserError, match=r"en\.npy: 'nobody' has no 'clean' record"):
        find_trials(waves_of(root), [ROWS[0] | {"utterance": "nobody"}], ["clean"], SOURCES)


def test_a_missing_bank_is_told(root):
    with pytest.raises(UserError, match=r"none\.tsv: no such table"):
        partial(WaveSets.open, root / "waves", root / "none.npy", 7)(["en"])
