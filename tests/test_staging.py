"""Inputs that are read from copies: the same, and gone whatever ends the process."""

import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from srctrace.cli import main
from srctrace.errors import UserError
from srctrace.files import HOST
from srctrace.staging import staging
from srctrace.store import write_ragged_store, write_store
from srctrace.trials import FeatureSets, WaveSets
from tests.small_features import make_features


@pytest.fixture
def data(tmp_path):
    for language in ("en", "de"):
        make_features(tmp_path, language)
    (tmp_path / "node").mkdir()
    return tmp_path


def train(data, out, stage="", epochs=1) -> list[str]:
    words = [
        *("train", "--features", data / "features", "--split", data / "splits" / "en.tsv"),
        *("--sources", data / "sources.tsv", "--system", "lfcc-resnet18", "--sizes", "width=4", "--epochs", epochs),
        *("--batch-size", 8, "--device", "cpu", "--out", data / out, "--stage", stage),
    ]
    return [str(word) for word in words]


def score(data, out, stage="", tests=("en",)) -> list[str]:
    splits = [data / "splits" / f"{test}.tsv" for test in tests]
    words = ["score", "--features", data / "features", "--model", data / "model", "--splits", *splits]
    words += ["--fit", data / "splits" / "en.tsv", "--embeddings", data / out / "embeddings.npy"]
    return [str(word) for word in [*words, "--variants", "clean", "--out", data / out, "--stage", stage]]


def is_copy(array: np.ndarray, below: Path) -> bool:
    return Path(array.filename).is_relative_to(below)


def test_features_are_read_from_copies_that_are_made_once_and_removed(data, monkeypatch, capsys):
    monkeypatch.setattr("srctrace.staging.PIECE", 1000)
    expected = FeatureSets.open(data / "features", ["de", "en"])
    with staging(str(data / "node")) as staged:
        open_inputs = partial(FeatureSets.open, data / "features", staged=staged)
        first, second = open_inputs(["en"]), open_inputs(["de", "en"])
        assert second.stores["en"].array is first.stores["en"].array
        for language, store in second.stores.items():
            assert is_copy(store.array, data / "node")
            assert store.path == data / "features" / f"{language}.npy"
            np.testing.assert_array_equal(store.array, expected.stores[language].array)
        for row in expected.stores["de"].rows:
            place = row["utterance"], row["variant"], "train"
            np.testing.assert_array_equal(second.reader(*place)(), expected.reader(*place)())
        (folder,) = (data / "node").iterdir()
        assert len(list(folder.iterdir())) == 2
    assert not list((data / "node").iterdir())
    assert "stage: 100%" in capsys.readouterr().err


def test_waveforms_and_noise_are_read_from_copies(data):
    rng = np.random.default_rng(0)
    write_store(
        data / "waves" / "en.npy", ["utterance"], [({"utterance": "u"}, rng.integers(-999, 999, 800, np.int16))]
    )
    columns = ["category", "file", "split"]
    noise = [
        ({"category": "noise", "file": f"{number}", "split": "train"}, rng.integers(-999, 999, 500 + number, np.int16))
        for number in range(3)
    ]
    write_ragged_store(data / "bank.npy", columns, noise)
    open_inputs = partial(WaveSets.open, data / "waves", data / "bank.npy", 0)
    expected = open_inputs(["en"])
    with staging(str(data / "node")) as staged:
        inputs = open_inputs(["en"], staged=staged)
        assert all(is_copy(store.array, data / "node") for store in inputs.read.values())
        assert is_copy(inputs.bank.samples, data / "node")
        assert inputs.read.keys() == expected.read.keys()
        for variant in ("clean", "noise"):
            np.testing.assert_array_equal(
                inputs.reader("u", variant, "train")(), expected.reader("u", variant, "train")()
            )


def test_models_and_scores_are_the_same(data, monkeypatch):
    monkeypatch.setenv("NODE_DISK", str(data))
    assert main(train(data, "model")) == 0
    assert main(train(data, "staged", stage="$NODE_DISK/node")) == 0
    for name in ("model.safetensors", "model.json"):
        assert (data / "staged" / name).read_bytes() == (data / "model" / name).read_bytes()
    assert main(score(data, "scores", tests=("en", "de", "en"))) == 0
    assert main(score(data, "scores-staged", tests=("en", "de", "en"), stage="${NODE_DISK}/node")) == 0
    for name in ("en.tsv", "de.tsv"):
        assert (data / "scores-staged" / name).read_bytes() == (data / "scores" / name).read_bytes()
    assert not list((data / "node").iterdir())


@pytest.mark.parametrize("staged_first", [True, False])
def test_a_run_goes_on_whether_staged_or_not(data, staged_first):
    assert main(train(data, "whole", epochs=20)) == 0
    stages = [data / "node", ""] if staged_first else ["", data / "node"]
    process = subprocess.Popen(
        [sys.executable, "-m", "srctrace", *train(data, "broken", stages[0], 20)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list((data / "broken").glob("last-*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bool(list((data / "node").iterdir())) == staged_first
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert not list((data / "node").iterdir())
    command = [sys.executable, "-m", "srctrace", *train(data, "broken", stages[1], 20)]
    again = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
    assert "resuming in epoch" in again.stderr
    for name in ("model.safetensors", "model.json"):
        assert (data / "broken" / name).read_bytes() == (data / "whole" / name).read_bytes()
    assert not list((data / "node").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("copying", [True, False])
def test_a_signal_leaves_in_order(data, monkeypatch, number, copying):
    before = signal.getsignal(number)
    if copying:
        monkeypatch.setattr("srctrace.staging.tqdm.update", lambda *_: os.kill(os.getpid(), number))

    def run() -> None:
        with staging(str(data / "node")) as staged:
            FeatureSets.open(data / "features", ["en"], staged)
            assert not copying
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as left:
        run()
    assert left.value.code == 128 + number
    assert not list((data / "node").iterdir())
    assert signal.getsignal(number) is before


def test_after_an_error_too_the_copies_are_gone_and_the_original_is_named(data, capsys):
    path = data / "features" / "en.npy"
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF  # of train
    path.write_bytes(content)
    assert main(train(data, "model", data / "node")) == 2
    assert f"{path}: record 0 or its row in en.tsv is damaged" in capsys.readouterr().err
    assert not list((data / "node").iterdir())


def test_what_does_not_fit_is_refused_before_it_is_copied(data, monkeypatch, capsys):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert main(train(data, "model", data / "node")) == 2
    assert f"stage: {data / 'node'}: 0.00127 GB are needed" in (said := capsys.readouterr().err)
    assert 'free: make room, or write elsewhere, or set it to ""' in said
    assert not list((data / "node").iterdir())


def test_a_disk_that_is_full_sooner_is_told(data):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    message = r'stage: .*en\.npy to .*node: File too large: name another folder, or set it to ""'
    with staging(str(data / "node")) as staged:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            with pytest.raises(UserError, match=message):
                FeatureSets.open(data / "features", ["en"], staged)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((data / "node").iterdir())


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("$NOT_SET/x", r"stage: \$NOT_SET/x: NOT_SET is not set on this machine"),
        ("${NOT_SET}", "NOT_SET is not set"),
        ("$EMPTY", "EMPTY is not set"),
        ("/not/there", "stage: /not/there: no such folder on this machine"),
        ("$THERE/below", "below: no such folder"),
    ],
)
def test_a_folder_that_is_not_there_is_refused(tmp_path, monkeypatch, folder, message):
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("THERE", str(tmp_path))
    with pytest.raises(UserError, match=message), staging(folder):
        pass


def test_what_a_killed_process_left_is_removed_by_the_next(data):
    code = f"""
import time
from srctrace.staging import staging
from srctrace.trials import FeatureSets
with staging({str(data / "node")!r}) as staged:
    FeatureSets.open({str(data / "features")!r}, ["en"], staged)
    print(flush=True)
    time.sleep(100)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    (left,) = (data / "node").iterdir()
    others = {data / "node" / name for name in (f"srctrace-staged.{HOST}-2.1.x", "theirs")}
    for other in others:
        other.mkdir()
    with staging(str(data / "node")):
        assert left in (data / "node").iterdir(), "its process lives"
    process.kill()
    process.communicate()
    assert list(left.iterdir())
    with staging(str(data / "node")):
        assert left not in (data / "node").iterdir()
    assert set((data / "node").iterdir()) == others
