"""Stores that are read many times, at random, are read from a node's own disk rather than from one that is shared."""

import glob
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tqdm import tqdm

from srctrace.errors import UserError
from srctrace.files import HOST, is_alive, require_space
from srctrace.store import Store

PIECE = 2**24  # bytes copied at a time

INSTEAD = 'or set it to "" to read inputs where they are'

Staged = Callable[[Iterable[Store]], list[Store]]
"""From stores to the same stores, read from where they are staged. `list` is for: where they are."""


@contextmanager
def staging(folder: str) -> Iterator[Staged]:
    """What copies the arrays of stores below `folder`, each once; the copies are gone after the block.

    Of a store, its array alone is read more than once. Its path stays what it was: what is damaged is to be mended
    there.

    Args:
        folder: of a node's own disk; environment variables are filled in on the node. Empty: nothing is copied.

    Raises:
        UserError: a variable is not set, or the folder is not there or cannot be written.
        SystemExit: with status 128 + signal after SIGTERM or SIGINT, once the copies are gone.
    """
    if not folder:
        yield list
        return
    below = _existing(folder)
    prefix = f"srctrace-staged.{HOST}."
    for left in below.glob(f"{glob.escape(prefix)}*"):
        pid = left.name.removeprefix(prefix).partition(".")[0]
        if pid.isdigit() and not is_alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)  # nobody else would
    with _left_on_signals():
        try:
            temporary = TemporaryDirectory(prefix=f"{prefix}{os.getpid()}.", dir=below, ignore_cleanup_errors=True)
        except OSError as error:
            raise UserError(f"stage: {below}: {error.strerror}: name another folder, {INSTEAD}") from None
        with temporary:
            yield partial(_staged, Path(temporary.name), {})


def _existing(folder: str) -> Path:
    for name in re.findall(r"\$\{?(\w+)", folder):
        if not os.environ.get(name):
            raise UserError(
                f"stage: {folder}: {name} is not set on this machine: name a folder, or a variable that is set to one"
            )
    path = Path(os.path.expandvars(folder)).expanduser()
    if not path.is_dir():
        raise UserError(f"stage: {path}: no such folder on this machine: name one that every node has")
    return path


def _staged(temporary: Path, copies: dict[Path, np.ndarray], stores: Iterable[Store]) -> list[Store]:
    """The stores, their arrays read from `copies`, to which those that are new are added.

    Raises:
        UserError: they do not fit.
    """
    stores = list(stores)
    new = [store for store in stores if store.path not in copies]
    size = sum(store.path.stat().st_size for store in new)
    try:
        require_space(temporary.parent, size)
    except UserError as error:
        raise UserError(f"stage: {error}, {INSTEAD}") from None
    with tqdm(total=size, desc="stage", unit="B", unit_scale=True, mininterval=1, disable=not new) as bar:
        for store in new:
            copy = temporary / f"{len(copies)}.npy"
            try:
                with store.path.open("rb") as source, copy.open("wb") as target:
                    while piece := source.read(PIECE):
                        target.write(piece)
                        bar.update(len(piece))
            except OSError as error:
                raise UserError(
                    f"stage: {store.path} to {temporary.parent}: {error.strerror}: name another folder, {INSTEAD}"
                ) from None
            copies[store.path] = np.load(copy, mmap_mode="r", allow_pickle=False)
    return [replace(store, array=copies[store.path]) for store in stores]


@contextmanager
def _left_on_signals() -> Iterator[None]:
    """SIGTERM and SIGINT leave the block in order, where nothing in it heeds them otherwise.

    Raises:
        SystemExit: with status 128 + signal.
    """

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
