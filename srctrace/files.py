"""Outputs are atomic: written beside their final name, then renamed. A file that exists is whole."""

import glob
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOST = platform.node()


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, delete it if not.

    The temporary name keeps the suffix, because soundfile, NumPy and Matplotlib read the format from it. It carries
    the machine and the process id, so that two processes never write into one file, also on a shared disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_orphans(path)
    temporary = path.with_name(f".{path.stem}.{_HOST}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_orphans(path: Path) -> None:
    """Delete what a killed process of this machine left of `path`: nobody else would, and it may be large."""
    for orphan in path.parent.glob(f".{glob.escape(path.stem)}.{glob.escape(_HOST)}.*.partial{path.suffix}"):
        pid = orphan.name.removesuffix(f".partial{path.suffix}").rpartition(".")[2]
        if pid.isdigit() and not _is_alive(int(pid)):
            orphan.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
