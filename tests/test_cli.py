"""The command line: bad input ends with one message and status 2; a full disk leaves nothing half-written."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from srctrace.cli import COMMANDS, main
from srctrace.manifest import COLUMNS, read_sources, write_manifest, write_sources
from srctrace.protocol import COLUMNS as SPLIT_COLUMNS
from srctrace.tables import write_table
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--epochs", "0"], "argument --epochs: 0 is not a number from 1 up"),
        (["train", "--batch-size", "1"], "argument --batch-size: 1 is not a number from 2 up"),
        (["train", "--lr", "nan"], "argument --lr: nan is not a number"),
        (["train", "--threads", "0"], "argument --threads: 0 is not a number from 1 up"),
        (["train", "--schedule", "step"], "argument --schedule: invalid choice: 'step'"),
        (["train", "--select", "f1"], "argument --select: invalid choice: 'f1'"),
        (["train", "--variants", "echo"], "argument --variants: invalid choice: 'echo'"),
        (["extract", "--variants", "echo"], "argument --variants: invalid choice: 'echo'"),
        (["extract", "--n-fft", "x"], "argument --n-fft: invalid int value: 'x'"),
        (["speak", "--speakers", "0"], "argument --speakers: 0 is not a number from 1 up"),
    ],
)
def test_a_value_that_cannot_be_is_refused(capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--system", "lfcc-resnet"], "'lfcc-resnet' is not FRONT-END-BACK-END"),
        (["--sources", "few.tsv"], "which is not among those given: a, b"),
    ],
)
def test_mistakes_in_training_by_hand_are_one_message(tmp_path, words, message):
    make_features(tmp_path)
    write_sources(tmp_path / "few.tsv", SOURCES[:2])
    words = [tmp_path / word if word == "few.tsv" else word for word in words]
    command = ["train", "--features", tmp_path / "features", "--split", tmp_path / "splits" / "en.tsv"]
    command += ["--system", "lfcc-resnet18", "--sources", tmp_path / "sources.tsv", "--out", tmp_path / "model", *words]
    done = srctrace(*command)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_other_mistakes_by_hand_are_one_message(tmp_path):
    scan = ["--languages", "en", "--out", tmp_path / "manifest.tsv", "--label-map", tmp_path / "sources.tsv"]
    done = srctrace("scan", "--type", "table", "--tables", tmp_path, *scan)
    assert (done.returncode, done.stderr) == (2, f"srctrace scan: {tmp_path}: a folder, where a table is expected\n")
    done = srctrace("scan", "--type", "mlaad", *scan)
    assert (done.returncode, done.stderr) == (2, "srctrace scan: --type mlaad: needs --root\n")
    write_table(tmp_path / "split.tsv", SPLIT_COLUMNS, [])
    done = srctrace("list-conditions", "--split", tmp_path / "split.tsv", "--conditions", "en", "--out", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "condition 'en': expected NAME=LANGUAGE" in done.stderr


def test_sources_that_are_not_there_are_named(tmp_path):
    write_corpus(tmp_path)
    made = {"--out": tmp_path / "other.tsv", "--label-map": tmp_path / "sources.tsv"}
    scan = ["scan", "--type", "folder", "--root", tmp_path, "--languages", "en"]
    scan += [word for pair in made.items() for word in pair]
    done = srctrace(*scan, "--sources", "a", "typo")
    assert done.returncode == 2
    assert "no utterance of in-set source 'typo'; found:\n  en: a, b" in done.stderr
    assert not any(path.exists() for path in made.values())
    assert srctrace(*scan).returncode == 0
    assert read_sources(made["--label-map"]) == (["a", "b"], [])


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
    inputs = ("--features", tmp_path / "features", "--split", tmp_path / "splits" / "en.tsv")
    inputs += ("--sources", tmp_path / "sources.tsv")
    sizes = ("--system", "lfcc-resnet18", "--sizes", "width=16", "--epochs", 1)
    assert_disk_is_full(srctrace("train", *inputs, *sizes, "--out", small_disk / "model"))
    assert list((small_disk / "model").iterdir()) == []
