"""Outputs are atomic: written beside their final name, then renamed. A file that exists is whole."""

import glob
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from srctrace.errors import UserError

HOST = platform.node()


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, delete it if not.

    The temporary name keeps the suffix, because soundfile, NumPy and Matplotlib read the format from it. It carries
    the machine and the process id, so that two processes never write into one file, also on a shared disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_orphans(path)
    temporary = path.with_name(f".{path.stem}.{HOST}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Like `atomic_path`, for a folder; one that is there already is replaced."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{HOST}.{os.getpid()}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_space(folder: Path, count: int) -> None:
    """Refuse to begin what does not fit on the disk.

    Raises:
        UserError: less than `count` bytes are free.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if count > free:
        raise UserError(
            f"{folder}: {count / 1e9:.3g} GB are needed, {free / 1e9:.3g} are free: make room, or write elsewhere"
        )


def _remove_orphans(path: Path) -> None:
    """Delete what a killed process of this machine left of `path`: nobody else would, and it may be large."""
    for orphan in path.parent.glob(f".{glob.escape(path.stem)}.{glob.escape(HOST)}.*.partial{path.suffix}"):
        pid = orphan.name.removesuffix(f".partial{path.suffix}").rpartition(".")[2]
        if pid.isdigit() and not is_alive(int(pid)):
            orphan.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
