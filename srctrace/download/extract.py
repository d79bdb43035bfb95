"""Unpack an archive that may be hostile: into a new folder, files and folders only, within bounds.

No link is ever made on disk, so a name that stays inside by its text stays inside. A link within the archive becomes a
copy of the file that it points to.
"""

import errno
import gzip
import io
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from srctrace.download.split_zip import open_split_zip
from srctrace.errors import UserError
from srctrace.files import require_space

BLOCK = 1 << 20
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a way of packing that zipfile does not know
)


@dataclass(frozen=True)
class Bounds:
    """The most that an archive may hold: recorded sound does not shrink to a tenth, nor a short list to nothing."""

    ratio: int = 10  # unpacked to packed bytes,
    least: int = 100_000_000  # or so many bytes, if that is more
    members: int = 2_000_000

    def bytes(self, packed: int) -> int:
        """Bytes that an archive of `packed` bytes may unpack to."""
        return max(self.least, self.ratio * packed)


@dataclass(frozen=True)
class Member:
    """One entry: `kind` is `file`, `folder`, `link` (to `target`, from the archive's root) or something else."""

    name: str
    kind: str
    size: int = 0
    target: str = ""
    open: Callable[[], io.BufferedIOBase] | None = None


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive."""

    files: int
    bytes: int


def extract(parts: Sequence[Path], folder: Path, bounds: Bounds = Bounds()) -> Unpacked:
    """Unpack a `.tar.gz`, a `.zip`, or the parts of a split zip into `folder`, which is made.

    Raises:
        UserError: it is damaged, leads out of the folder, holds something else than files, folders and links, holds
            more than the `bounds`, or does not fit on the disk. What was unpacked until then is removed.
    """
    archive = parts[-1]
    allowed = bounds.bytes(sum(part.stat().st_size for part in parts))
    folder.mkdir(parents=True)
    try:
        is_tar = archive.name.endswith((".tar.gz", ".tgz"))
        members = _tar_members(archive, allowed) if is_tar else _zip_members(parts, allowed)
        return _unpack(archive, members, folder, allowed, bounds.members)
    except DAMAGED as error:
        shutil.rmtree(folder)
        raise UserError(f"{archive}: damaged or truncated ({error}): delete it and run again") from None
    except BaseException:
        shutil.rmtree(folder)
        raise


def _unpack(archive: Path, members: Iterator[Member], folder: Path, allowed: int, most: int) -> Unpacked:
    files = 0
    written = 0
    links = []
    bar = tqdm(members, desc=f"unpacking {archive.name}", unit="file", mininterval=1)
    for count, member in enumerate(bar, start=1):
        if count > most:
            raise UserError(f"{archive}: more than {most} entries: not unpacked")
        path = folder / _safe_name(member.name, archive)
        if member.kind == "link":
            links.append((path, folder / _safe_name(member.target, archive)))
            continue
        if member.kind not in ("file", "folder"):
            raise UserError(f"{archive}: {member.name!r} is neither a file nor a folder: not unpacked")
        try:
            if member.kind == "folder":
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, path.open("wb") as out:
                while block := source.read(BLOCK):
                    written += len(block)
                    _require_within(archive, written, allowed)
                    out.write(block)
            files += 1
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise UserError(f"{archive}: {member.name!r} is both a file and a folder: not unpacked") from None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise UserError(f"{archive}: a name of {len(member.name)} characters: not unpacked") from None
    for path, target in links:
        if target.is_file() and not path.exists():
            written += target.stat().st_size
            _require_within(archive, written, allowed)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, path)
            files += 1
    return Unpacked(files, written)


def _require_within(archive: Path, count: int, allowed: int) -> None:
    if count > allowed:
        raise UserError(f"{archive}: it unpacks to more than {allowed} bytes, a bomb: not unpacked")


def _safe_name(name: str, archive: Path) -> str:
    """A member's name, if it stays in the folder.

    Raises:
        UserError: it is absolute, climbs out, or is no name.
    """
    if not name or "\0" in name or name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        raise UserError(f"{archive}: {name!r} leads out of the folder: not unpacked")
    return posixpath.normpath(name)


def _tar_members(archive: Path, allowed: int) -> Iterator[Member]:
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.isreg():
                yield Member(member.name, "file", member.size, open=lambda member=member: tar.extractfile(member))
            elif member.isdir():
                yield Member(member.name, "folder")
            elif member.islnk():
                yield Member(member.name, "link", target=member.linkname)
            elif member.issym():
                yield Member(member.name, "link", target=_from_root(member.name, member.linkname))
            else:
                yield Member(member.name, "other")
        rest = 0
        while block := stream.read(BLOCK):  # to the checksum at the end
            rest += len(block)
            _require_within(archive, rest, allowed)


def _zip_members(parts: Sequence[Path], allowed: int) -> Iterator[Member]:
    archive = parts[-1]
    with open_split_zip(parts) as file, zipfile.ZipFile(file) as zipped:
        declared = sum(info.file_size for info in zipped.infolist())
        _require_within(archive, declared, allowed)
        require_space(archive.parent, declared)
        for info in zipped.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
            if info.flag_bits & 1:
                raise UserError(f"{archive}: {info.filename!r} is encrypted: not unpacked")
            if info.filename.endswith("/"):
                yield Member(info.filename, "folder")
            elif kind == stat.S_IFLNK:
                target = os.fsdecode(zipped.read(info)) if info.file_size < 4096 else "/"
                yield Member(info.filename, "link", target=_from_root(info.filename, target))
            elif kind in (0, stat.S_IFREG):
                yield Member(info.filename, "file", info.file_size, open=lambda info=info: zipped.open(info))
            else:
                yield Member(info.filename, "other")


def _from_root(name: str, target: str) -> str:
    """Where a symbolic link points to, from the archive's root; a path that climbs out keeps its `..`."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
