"""Packed arrays: what is written is read, and damage is noticed."""

import errno
import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest

from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.store import open_store, write_ragged_store, write_store


def records(count: int = 5):
    rng = np.random.default_rng(0)
    return [({"name": f"r{i}"}, rng.normal(size=(3, 4)).astype(np.float32)) for i in range(count)]


def test_round_trip(tmp_path):
    write_store(tmp_path / "a.npy", ["name"], iter(records()))
    opened = open_store(tmp_path / "a.npy", ["name"])
    assert [row["name"] for row in opened.rows] == [f"r{i}" for i in range(5)]
    for index, (_, array) in enumerate(records()):
        np.testing.assert_array_equal(opened.record(index), array)
    assert np.load(tmp_path / "a.npy").shape == (5, 3, 4)


def test_ragged_round_trip(tmp_path):
    pieces = [np.arange(n, dtype=np.int16) for n in (3, 1, 7)]
    write_ragged_store(tmp_path / "a.npy", ["name"], (({"name": "x"}, piece) for piece in pieces))
    opened = open_store(tmp_path / "a.npy")
    for index, piece in enumerate(pieces):
        np.testing.assert_array_equal(opened.record(index), piece)


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "a.npy"
    write_store(path, ["name"], records())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    opened = open_store(path)
    opened.record(0)
    with pytest.raises(UserError, match=r"a\.npy: record 4 or its row in a\.tsv is damaged"):
        opened.record(4)


@pytest.mark.parametrize("keep", [0, 50, -8])
def test_a_truncated_array_is_refused(tmp_path, keep):
    path = tmp_path / "a.npy"
    write_store(path, ["name"], records())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"a\.npy: damaged"):
        open_store(path)


def test_array_and_index_must_belong_together(tmp_path):
    write_store(tmp_path / "a.npy", ["name"], records(5))
    write_store(tmp_path / "b.npy", ["name"], records(4))
    (tmp_path / "b.tsv").replace(tmp_path / "a.tsv")
    with pytest.raises(UserError, match="lists 4"):
        open_store(tmp_path / "a.npy")


def test_missing_files_and_columns_are_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.tsv: no such table"):
        open_store(tmp_path / "a.npy")
    write_store(tmp_path / "a.npy", ["name"], records())
    with pytest.raises(UserError, match="no column variant"):
        open_store(tmp_path / "a.npy", ["variant"])


def test_an_empty_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="no records"):
        write_store(tmp_path / "a.npy", ["name"], [])
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.npy"
    write_store(path, ["name"], records())
    before = path.read_bytes()

    def interrupted():
        yield from records(2)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_store(path, ["name"], interrupted())
    assert path.read_bytes() == before
    assert sorted(child.name for child in tmp_path.iterdir()) == ["a.npy", "a.tsv"]


def test_atomic_path_is_beside_its_target(tmp_path):
    with atomic_path(tmp_path / "deep" / "a.wav") as temporary:
        assert temporary.parent == tmp_path / "deep"
        assert temporary.suffix == ".wav"
        temporary.write_text("x")
    assert (tmp_path / "deep" / "a.wav").read_text() == "x"


def test_what_a_killed_writer_left_is_removed(tmp_path):
    """The file of a process that is gone goes; that of one that lives stays."""
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, check=True
    )
    host, pid = platform.node(), int(process.stdout)
    dead = tmp_path / f".a.{host}.{pid}.partial.npy"
    alive = tmp_path / f".a.{host}.{os.getppid()}.partial.npy"
    other = tmp_path / f".ab.{host}.{pid}.partial.npy"
    elsewhere = tmp_path / f".a.another-node.{pid}.partial.npy"
    for path in (dead, alive, other, elsewhere):
        path.touch()
    write_store(tmp_path / "a.npy", ["name"], records())
    assert not dead.exists()
    assert alive.exists()
    assert other.exists()
    assert elsewhere.exists()


def test_a_changed_index_is_noticed(tmp_path):
    """Two utterances whose names were swapped have each other's features."""
    path = tmp_path / "a.npy"
    write_store(path, ["name"], records())
    index = path.with_suffix(".tsv")
    names = [row["name"] for row in open_store(path, ["name"]).rows]
    text = index.read_text()
    index.write_text(text.replace(names[0], "!").replace(names[1], names[0]).replace("!", names[1]))
    with pytest.raises(UserError, match=r"record 0 or its row in a\.tsv is damaged"):
        open_store(path).record(0)
    index.write_text(re.sub(r"\t\d+\n", "\tx\n", text))
    with pytest.raises(UserError, match=r"record 2 or its row in a\.tsv is damaged"):
        open_store(path).record(2)


def test_an_index_that_is_no_index_is_told(tmp_path):
    path = tmp_path / "a.npy"
    write_ragged_store(path, ["name"], records())
    index = path.with_suffix(".tsv")
    head, first, *rest = index.read_text().splitlines(True)
    index.write_text(head + first.replace(first.split("\t")[2], "many") + "".join(rest))
    with pytest.raises(UserError, match=r"a\.tsv: damaged"):
        open_store(path)
