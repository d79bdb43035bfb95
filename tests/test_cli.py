"""The command line: bad input ends with one message and status 2; a full disk leaves nothing half-written."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from srctrace.cli import COMMANDS
from srctrace.manifest import COLUMNS, write_manifest
from tests.small_features import SOURCES, make_features


def srctrace(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "srctrace", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def write_corpus(root, count: int = 4) -> None:
    rows = []
    for source in ("a", "b"):
        (root / "en" / source).mkdir(parents=True)
        for number in range(count):
            path = f"en/{source}/{number}.wav"
            signal = np.random.default_rng(number + ord(source)).normal(0, 0.1, 16000)
            soundfile.write(root / path, signal, 16000)
            row = {"utterance": path[:-4], "path": path, "language": "en", "source": source}
            rows.append(dict.fromkeys(COLUMNS, "") | row)
    write_manifest(root / "manifest.tsv", rows)


def decode(root, out="waves.npy", **options):
    return srctrace(
        "decode",
        "--manifest",
        root / "manifest.tsv",
        "--language",
        "en",
        "--root",
        root,
        "--out",
        root / out,
        **options,
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name):
    done = srctrace(name, "--help")
    assert done.returncode == 0
    assert COMMANDS[name][0] in done.stdout


def test_a_missing_file_is_one_message(tmp_path):
    write_corpus(tmp_path)
    assert decode(tmp_path).returncode == 0
    before = (tmp_path / "waves.npy").read_bytes()
    (tmp_path / "en" / "a" / "2.wav").unlink()
    done = decode(tmp_path)
    assert done.returncode == 2
    message = done.stderr.splitlines()[-1]
    assert message.startswith("srctrace decode:")
    assert "en/a/2.wav" in message
    assert "Traceback" not in done.stderr
    assert (tmp_path / "waves.npy").read_bytes() == before


def test_a_missing_manifest_column_is_one_message(tmp_path):
    write_corpus(tmp_path)
    text = (tmp_path / "manifest.tsv").read_text().replace("\tsentence", "\tsentense")
    (tmp_path / "manifest.tsv").write_text(text)
    done = decode(tmp_path)
    assert done.returncode == 2
    assert "manifest.tsv: no column sentence" in done.stderr


def test_an_unknown_language_of_the_built_in_corpus(tmp_path):
    done = srctrace("speak", "--language", "xx", "--sources", "formant", "--root", tmp_path, "--table", tmp_path / "t")
    assert done.returncode == 2
    assert "'xx'" in done.stderr
    assert "en" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 900 kB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount the small disk that is to be filled")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "none", disk], check=False).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


def assert_disk_is_full(done) -> None:
    assert done.returncode == 2, done.stderr[-2000:]
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_one_message_and_keeps_what_was_made(tmp_path, small_disk):
    write_corpus(tmp_path, count=2)
    out = small_disk / "waves.npy"
    arguments = ("decode", "--manifest", tmp_path / "manifest.tsv", "--language", "en", "--root", tmp_path)
    assert srctrace(*arguments, "--seconds", 1, "--out", out).returncode == 0
    before = out.read_bytes()
    assert_disk_is_full(srctrace(*arguments, "--seconds", 120, "--out", out))
    assert out.read_bytes() == before
    assert sorted(child.name for child in small_disk.iterdir()) == ["waves.npy", "waves.tsv"]


def test_a_full_disk_while_speaking(small_disk):
    names = ("--sources", "formant", "klatt1", "--root", small_disk, "--table", small_disk / "en.tsv")
    assert_disk_is_full(srctrace("speak", "--language", "en", *names, "--speakers", 4))
    assert not (small_disk / "en.tsv").exists()
    assert not list(small_disk.rglob("*.partial*"))


def test_a_full_disk_while_training(tmp_path, small_disk):
    make_features(tmp_path)
    inputs = ("--features", tmp_path / "features", "--split", tmp_path / "splits" / "en.tsv", "--sources", *SOURCES)
    sizes = ("--system", "lfcc-resnet18", "--sizes", "width=16", "--epochs", 1)
    assert_disk_is_full(srctrace("train", *inputs, *sizes, "--out", small_disk / "model"))
    assert list((small_disk / "model").iterdir()) == []
