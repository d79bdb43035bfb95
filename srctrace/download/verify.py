"""Sizes and digests of files: those published, and those recorded when a file was first had."""

import hashlib
import re
from pathlib import Path

from srctrace.download.catalogue import File
from srctrace.errors import UserError
from srctrace.files import atomic_path


def digest_of(path: Path, kind: str) -> str:
    """A file's digest: `md5`, `sha256`, or `git-sha1`, by which git knows a file."""
    hasher = hashlib.new({"git-sha1": "sha1"}.get(kind, kind), usedforsecurity=False)
    if kind == "git-sha1":
        hasher.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def require(file: File, path: Path) -> None:
    """Check a file that is there.

    Raises:
        UserError: its size or its digest is not what it should be.
    """
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise UserError(
            f"{path}: {size} bytes, where {file.size} are expected: it is truncated or another file: delete it, or "
            f"complete it, and run again"
        )
    kind, _, expected = file.digest.partition(":")
    if kind and (found := digest_of(path, kind)) != expected:
        raise UserError(f"{path}: its {kind} is {found}, where {expected} is expected: delete it and run again")


def require_recorded(path: Path) -> str:
    """The sha256 of a file that nobody publishes a digest of; recorded beside it the first time, checked from then on.

    Raises:
        UserError: it is not the file that was recorded.
    """
    record = path.with_name(path.name + ".sha256")
    digest = digest_of(path, "sha256")
    if not record.exists():
        with atomic_path(record) as temporary:
            temporary.write_text(f"{digest}  {path.name}\n")
    elif record.read_text().split()[:1] != [digest]:
        raise UserError(
            f"{path}: it is not the file that was first downloaded: its sha256 is {digest}, {record} has another: "
            f"delete it and run again; if the data set was released anew, delete the .sha256 file too"
        )
    return digest


def read_sums(path: Path) -> dict[str, str]:
    """Digests by file name, from a list that `md5sum` wrote.

    Raises:
        UserError: it is no such list.
    """
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    found = [re.fullmatch(r"\\?([0-9a-fA-F]{32})\s+\*?(.+)", line.strip()) for line in lines]
    if not lines or not all(found):
        raise UserError(f"{path}: not a list of md5 sums, as `md5sum` writes it: delete it and run again")
    return {Path(match[2]).name: f"md5:{match[1].lower()}" for match in found}
