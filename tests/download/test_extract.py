"""Archives that are damaged or hostile are refused, and leave nothing; others come out as they went in."""

import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from srctrace.download.extract import Bounds, Unpacked, extract
from srctrace.errors import UserError
from srctrace.files import require_space


def tar_entry(name, content=b"x", **fields) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content) if fields.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, content


def write_tar(path, *entries) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))


def write_zip(path, *entries, packing=zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.create_system = 3
            info.compress_type = packing
            archive.writestr(info, content)


def tree(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive, folder, message, **bounds) -> None:
    with pytest.raises(UserError, match=message):
        extract([archive], folder, Bounds(**bounds))
    assert not folder.exists()


FILES = {"a/b/c.wav": bytes(range(256)) * 5000, "a/d.csv": b"path|language\n", "a/empty": b"", "é ü.txt": b"text"}


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_files_come_out_as_they_went_in(tmp_path, suffix):
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        write_zip(archive, ("a/", b"", stat.S_IFDIR), *((name, content, 0) for name, content in FILES.items()))
    else:
        folder = tar_entry("a", type=tarfile.DIRTYPE)
        write_tar(archive, folder, *(tar_entry(name, content) for name, content in FILES.items()))
    unpacked = extract([archive], tmp_path / "out")
    assert tree(tmp_path / "out") == FILES
    assert unpacked == Unpacked(4, sum(map(len, FILES.values())))


OUTSIDE = ["/etc/x", "../x", "a/../../x", "a/..", "C:/x", ""]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out(tmp_path, name):
    write_zip(tmp_path / "a.zip", ("first", b"x", 0), (name, b"x", 0))
    refused(tmp_path / "a.zip", tmp_path / "out", "leads out of the folder")
    if name:
        write_tar(tmp_path / "a.tar.gz", tar_entry("first"), tar_entry(name))
        refused(tmp_path / "a.tar.gz", tmp_path / "out", "leads out of the folder")
    assert not list(tmp_path.rglob("x"))


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "../../etc/passwd"),
        (tarfile.SYMTYPE, "../.."),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "../x"),
    ],
)
def test_links_that_lead_out(tmp_path, kind, target):
    write_tar(tmp_path / "a.tar.gz", tar_entry("a/link", type=kind, linkname=target))
    refused(tmp_path / "a.tar.gz", tmp_path / "out", "leads out of the folder")
    if kind == tarfile.SYMTYPE:
        write_zip(tmp_path / "a.zip", ("a/link", target.encode(), stat.S_IFLNK | 0o777))
        refused(tmp_path / "a.zip", tmp_path / "out", "leads out of the folder")


def test_nothing_is_written_through_a_link(tmp_path):
    """A link to a folder, then a file in it: the file stays in the folder, whatever the link says."""
    link = tar_entry("a/link", type=tarfile.SYMTYPE, linkname="b")
    write_tar(tmp_path / "a.tar.gz", tar_entry("a/b/kept"), link, tar_entry("a/link/file", b"content"))
    extract([tmp_path / "a.tar.gz"], tmp_path / "out")
    assert tree(tmp_path / "out") == {"a/b/kept": b"x", "a/link/file": b"content"}


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_links_inside_become_copies(tmp_path, suffix):
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        write_zip(archive, ("a/soft", b"../b/file", stat.S_IFLNK | 0o777), ("b/file", b"content", stat.S_IFREG))
    else:
        soft = tar_entry("a/soft", type=tarfile.SYMTYPE, linkname="../b/file")
        hard = tar_entry("a/hard", type=tarfile.LNKTYPE, linkname="b/file")
        write_tar(archive, soft, tar_entry("b/file", b"content"), hard)
    extract([archive], tmp_path / "out")
    found = tree(tmp_path / "out")
    assert set(found.values()) == {b"content"}
    assert set(found) >= {"a/soft", "b/file"}
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes(tmp_path, kind):
    write_tar(tmp_path / "a.tar.gz", tar_entry("a/device", type=kind))
    refused(tmp_path / "a.tar.gz", tmp_path / "out", "neither a file nor a folder")


def test_a_device_in_a_zip(tmp_path):
    write_zip(tmp_path / "a.zip", ("device", b"", stat.S_IFCHR | 0o600))
    refused(tmp_path / "a.zip", tmp_path / "out", "neither a file nor a folder")


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_bombs(tmp_path, suffix):
    archive = tmp_path / f"a.{suffix}"
    zeros = bytes(3_000_000)
    if suffix == "zip":
        write_zip(archive, ("zeros", zeros, 0))
    else:
        write_tar(archive, tar_entry("zeros", zeros))
    assert archive.stat().st_size < 10_000
    refused(archive, tmp_path / "out", "a bomb", least=2_000_000)
    extract([archive], tmp_path / "out", Bounds(least=3_000_000))


def test_a_bomb_behind_the_end(tmp_path):
    write_tar(tmp_path / "plain.tar.gz", tar_entry("a"))
    content = gzip.decompress((tmp_path / "plain.tar.gz").read_bytes())
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(content + bytes(5_000_000)))
    refused(tmp_path / "a.tar.gz", tmp_path / "out", "a bomb", least=2_000_000)


def test_a_zip_that_understates_its_sizes(tmp_path):
    """The directory says 10 bytes; what is packed is three million."""
    write_zip(tmp_path / "a.zip", ("zeros", bytes(3_000_000), 0))
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    refused(tmp_path / "a.zip", tmp_path / "out", "damaged", least=2_000_000)


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_too_many_entries(tmp_path, suffix):
    archive = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        write_zip(archive, *((f"{number}", b"", 0) for number in range(51)))
    else:
        write_tar(archive, *(tar_entry(f"{number}", b"") for number in range(51)))
    refused(archive, tmp_path / "out", "more than 50 entries", members=50)
    assert extract([archive], tmp_path / "out", Bounds(members=51)).files == 51


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
@pytest.mark.parametrize("keep", [0, 10, 200, 30_000, -1])
def test_truncated_archives(tmp_path, suffix, keep):
    archive = tmp_path / f"a.{suffix}"
    noise = b"".join(bytes([number * number % 251]) for number in range(60_000))
    if suffix == "zip":
        write_zip(archive, ("a", noise, 0), packing=zipfile.ZIP_STORED)
    else:
        write_tar(archive, tar_entry("a", noise))
        keep = min(keep, archive.stat().st_size - 5)
    archive.write_bytes(archive.read_bytes()[:keep])
    refused(archive, tmp_path / "out", "truncated|damaged")


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_a_flipped_byte(tmp_path, suffix):
    archive = tmp_path / f"a.{suffix}"
    noise = bytes(number * number % 251 for number in range(60_000))
    if suffix == "zip":
        write_zip(archive, ("a", noise, 0), packing=zipfile.ZIP_STORED)
    else:
        write_tar(archive, tar_entry("a", noise))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0x10
    archive.write_bytes(content)
    refused(archive, tmp_path / "out", "damaged")


def test_a_name_that_is_a_file_and_a_folder(tmp_path):
    write_tar(tmp_path / "a.tar.gz", tar_entry("a"), tar_entry("a/b"))
    refused(tmp_path / "a.tar.gz", tmp_path / "out", "both a file and a folder")


def test_a_name_that_is_too_long(tmp_path):
    write_zip(tmp_path / "a.zip", ("n" * 300, b"x", 0))
    refused(tmp_path / "a.zip", tmp_path / "out", "a name of 300 characters")


def test_it_must_fit_on_the_disk(tmp_path):
    require_space(tmp_path / "not" / "yet", 1000)
    with pytest.raises(UserError, match=r"1e\+09 GB are needed"):
        require_space(tmp_path / "not" / "yet", 10**18)


def test_a_zip_that_declares_a_bomb_is_not_begun(tmp_path):
    write_zip(tmp_path / "a.zip", ("first", b"x", 0), ("second", b"x", 0))
    content = (tmp_path / "a.zip").read_bytes()
    at = content.rfind(b"PK\1\2") + 24
    (tmp_path / "a.zip").write_bytes(content[:at] + (0xFFFFFF00).to_bytes(4, "little") + content[at + 4 :])
    refused(tmp_path / "a.zip", tmp_path / "out", "a bomb")
