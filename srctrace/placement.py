"""A GPU for each process: jobs that run at once on a machine with several take different ones.

Under a batch system too: what is GPU 0 in every job is another one in each, and has another UUID.
"""

import fcntl
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

LOCKS = Path("/tmp")  # not TMPDIR: users and containers may each have their own, but share the GPUs
POLL_SECONDS = 1

_held: list[IO] = []  # locks, open while the process lives: however it ends, the kernel drops them


@cache
def take_gpu() -> None:
    """Leave CUDA one GPU to see, which no other process has taken; wait until there is one.

    A process does so once, before CUDA starts, which reads `CUDA_VISIBLE_DEVICES` then. Nothing changes where
    `nvidia-smi` lists no GPU, or, with a word about it, where none can be locked.
    """
    uuids = usable_gpus()
    waiting = False
    while uuids:
        for uuid in uuids:
            try:
                lock = _lock(LOCKS / f"srctrace-{uuid.replace('/', '-')}.lock")
            except BlockingIOError:
                continue
            except OSError as error:
                print(f"GPUs are not locked ({error}): another process may take the same one", file=sys.stderr)
                return
            os.register_at_fork(after_in_child=lock.close)  # else it would be held until the last child ends
            os.environ["CUDA_VISIBLE_DEVICES"] = uuid
            _held.append(lock)
            return
        if not waiting:
            print(
                f"waiting for a GPU: other processes of srctrace have {', '.join(uuids)} ({LOCKS}/srctrace-*.lock)",
                file=sys.stderr,
                flush=True,
            )
        waiting = True
        time.sleep(POLL_SECONDS)


def usable_gpus() -> list[str]:
    """UUIDs of the GPUs of this machine, or of their MIG devices, that `CUDA_VISIBLE_DEVICES` leaves to see."""
    return _visible(_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))


def _gpus() -> dict[str, list[str]]:
    """UUIDs of the GPUs, in PCI order, and for each those of the MIG devices it is divided into."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=120).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    gpus: dict[str, list[str]] = {}
    for uuid in re.findall(r"\b(?:GPU|MIG)-[\w/-]+", listed):
        if uuid.startswith("GPU-"):
            gpus[uuid] = []
        else:
            gpus[list(gpus)[-1]].append(uuid)
    return gpus


def _visible(gpus: dict[str, list[str]], names: str | None) -> list[str]:
    """UUIDs of what `CUDA_VISIBLE_DEVICES` names. As for CUDA, a name that fits none, as -1, ends the list."""
    if not gpus:
        return []
    found: list[str] = []
    for name in map(str.strip, (",".join(gpus) if names is None else names).split(",")):
        if name.startswith("MIG-"):
            found.append(name)
            continue
        fitting = list(gpus)[int(name) :][:1] if name.isdecimal() else [uuid for uuid in gpus if uuid.startswith(name)]
        if not name or len(fitting) != 1:
            break
        found += gpus[fitting[0]] or fitting
    return list(dict.fromkeys(found))


def _lock(path: Path) -> IO:
    """The file, locked and open; made if need be, for all users.

    Raises:
        BlockingIOError: another process has it.
        OSError: it cannot be made, opened or locked.
    """
    mask = os.umask(0)
    try:
        # Made and opened in two steps: in /tmp, Linux may forbid opening another user's file so that it would be made.
        with suppress(FileExistsError):
            path.touch(0o666, exist_ok=False)
    finally:
        os.umask(mask)
    file = path.open("r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
