"""Runs that can be interrupted: a signal to stop is heeded between two steps, and the state is taken up again."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from srctrace.files import atomic_path

SAVE_SECONDS = 600  # a long run's state is saved so often, beside where its own course asks for it


@dataclass
class Interruption:
    """Whether SIGTERM or SIGINT has come."""

    number: int = 0

    def heed(self) -> None:
        """Leave, if one has: call it where the state is saved.

        Raises:
            SystemExit: with status 128 + signal.
        """
        if self.number:
            tqdm.write(f"stopped by signal {self.number}: the next run goes on from here", file=sys.stderr)
            raise SystemExit(128 + self.number)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """SIGTERM and SIGINT are noted within the block, and do what they did before after it."""
    interruption = Interruption()

    def note(number: int, _: object) -> None:
        interruption.number = number

    previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def save_state(path: str | os.PathLike, state: Mapping) -> None:
    """Write tensors, numbers and text, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(dict(state), file)


def load_state(path: str | os.PathLike) -> dict | None:
    """What `save_state` wrote, in the machine's own memory.

    None if there is nothing, or, with a word about it, nothing that can be used.
    """
    try:
        return torch.load(Path(path), weights_only=True, map_location="cpu")
    except FileNotFoundError:
        return None
    except (MemoryError, OSError):
        raise  # it may be whole
    except Exception as error:  # whatever is wrong with it, it is only a saving of time
        tqdm.write(f"{path}: damaged ({error}): from the start", file=sys.stderr)
        return None
