"""Split archives: of the real `zip -s` where it is installed, and of a splitter after the format's description."""

import io
import random
import shutil
import struct
import subprocess
import zipfile

import pytest

from srctrace.download.extract import extract
from srctrace.errors import UserError

FILES = {f"top/fake/en/system {number}/{number}.wav": random.Random(number).randbytes(37_000) for number in range(6)}
FILES |= {"top/fake/en/meta.csv": b"path|language\n" * 3000}


def write_tree(folder) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def tree(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def split(folder, size: int):
    """Split a zip of `FILES` as APPNOTE 8.5 says: a signature first; places as number of the part and offset in it."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    content = whole.getvalue()
    directory_at = content.find(b"PK\1\2")
    data = b"PK\7\x08" + content[:directory_at]
    cuts = list(range(0, len(data), size))
    parts = [data[cut : cut + size] for cut in cuts]

    def place(offset: int) -> tuple[int, int]:
        return (offset + 4) // size, (offset + 4) % size

    directory = b""
    end_at = content.find(b"PK\5\6")
    at = directory_at
    while at < end_at:
        name_length, extra_length, comment_length = struct.unpack_from("<3H", content, at + 28)
        entry = bytearray(content[at : at + 46 + name_length + extra_length + comment_length])
        part, offset = place(struct.unpack_from("<L", entry, 42)[0])
        struct.pack_into("<H", entry, 34, part)
        struct.pack_into("<L", entry, 42, offset)
        directory += entry
        at += len(entry)
    last = len(parts) - 1
    end = struct.pack("<4s4H2LH", b"PK\5\6", last, last, 1, len(FILES), len(directory), len(parts[-1]), 0)
    parts[-1] += directory + end
    paths = [folder / f"a.z{number + 1:02d}" for number in range(last)] + [folder / "a.zip"]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    return paths


def test_a_split_archive_comes_out_whole(tmp_path):
    paths = split(tmp_path, 50_000)
    assert len(paths) == 5
    extract(paths, tmp_path / "out")
    assert tree(tmp_path / "out") == FILES


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs Info-ZIP's zip")
@pytest.mark.parametrize("wide", [[], ["-fz"]])
def test_archives_of_the_real_zip(tmp_path, wide):
    """Both the plain form and the wide one, which archives over 4 GB have."""
    write_tree(tmp_path)
    subprocess.run(["zip", "-q", "-r", *wide, "-s", "64k", "a.zip", "top"], cwd=tmp_path, check=True)
    paths = [*sorted(tmp_path.glob("a.z[0-9]*")), tmp_path / "a.zip"]
    assert len(paths) == 4
    extract(paths, tmp_path / "out")
    assert tree(tmp_path / "out") == FILES


def test_a_missing_part(tmp_path):
    paths = split(tmp_path, 50_000)
    with pytest.raises(UserError, match="the last of 5 parts, but there are 4"):
        extract([*paths[:2], *paths[3:]], tmp_path / "out")
    with pytest.raises(UserError, match="the last of 5 parts, but there are 1"):
        extract(paths[-1:], tmp_path / "out")


def test_parts_in_another_order_or_truncated(tmp_path):
    paths = split(tmp_path, 50_000)
    with pytest.raises(UserError, match="damaged"):
        extract([paths[1], paths[0], *paths[2:]], tmp_path / "out")
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    with pytest.raises(UserError, match="damaged"):
        extract(paths, tmp_path / "out")


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_directory_is_refused_or_harmless(tmp_path, seed):
    """Whatever byte of it is wrong: a message, or the files as they were (their names and dates may be others)."""
    paths = split(tmp_path, 50_000)
    content = bytearray(paths[-1].read_bytes())
    start = content.find(b"PK\1\2")
    generator = random.Random(seed)
    for _ in range(3):
        content[generator.randrange(start, len(content))] = generator.randrange(256)
    paths[-1].write_bytes(content)
    try:
        extract(paths, tmp_path / "out")
    except UserError:
        assert not (tmp_path / "out").exists()
    else:
        assert set(tree(tmp_path / "out").values()) <= set(FILES.values()) | {b""}
