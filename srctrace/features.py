"""Features of every variant of every utterance of a language: computed once, read by every model.

They are LFCCs, or hidden states of a frozen SSL model. The variants are the same for both.
"""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srctrace.audio import SAMPLE_RATE
from srctrace.augment import Plan, augment_lfcc, draw, plan_of
from srctrace.bank import Bank, open_bank
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.frontends.lfcc import LfccOptions
from srctrace.store import Store, open_store, write_store

COLUMNS = ("utterance", "variant", "split")
BATCH = 32  # utterances computed at a time: keeps the threads busy, and bounds the memory


@dataclass(frozen=True)
class Utterances:
    """Decoded utterances of a language that have a split, and the noise of their variants."""

    store: Store
    bank: Bank
    split_of: Mapping[str, str]  # utterance to split
    variants: Sequence[str]
    seed: int  # draws the noise
    wanted: list[int] = field(default_factory=list)  # records of the store

    @classmethod
    def open(
        cls,
        waves: str | os.PathLike,
        bank: str | os.PathLike,
        split_of: Mapping[str, str],
        variants: Sequence[str],
        seed: int,
    ) -> "Utterances":
        """Open the store `waves` and the noise bank.

        Raises:
            UserError: a file is missing or damaged, or no utterance has a split.
        """
        store = open_store(waves, ["utterance"])
        wanted = [index for index, row in enumerate(store.rows) if row["utterance"] in split_of]
        if not wanted:
            raise UserError(f"{waves}: none of its utterances has a split")
        return cls(store, open_bank(bank), split_of, variants, seed, wanted)

    def __len__(self) -> int:
        return len(self.wanted)

    @property
    def seconds(self) -> float:
        """The length of every utterance."""
        return self.store.array.shape[1] / SAMPLE_RATE

    def batches(self, size: int) -> Iterator[tuple[list[str], np.ndarray, Plan]]:
        """Utterances, their audio `(batch, samples)` int16, and how their variants are mixed."""
        for first in range(0, len(self.wanted), size):
            batch = self.wanted[first : first + size]
            names = [self.store.rows[index]["utterance"] for index in batch]
            audio = np.stack([self.store.record(index) for index in batch])
            mixes = [
                [draw(self.bank, name, variant, self.split_of[name], self.seed) for variant in self.variants]
                for name in names
            ]
            yield names, audio, plan_of(mixes, self.bank, audio.shape[1])

    def rows(self, names: Sequence[str]) -> list[dict[str, object]]:
        """Index rows of all variants of some utterances."""
        return [
            {"utterance": name, "variant": variant, "split": self.split_of[name]}
            for name in names
            for variant in self.variants
        ]


def pack_lfcc(utterances: Utterances, out: str | os.PathLike, options: LfccOptions, threads: int = 1) -> None:
    """LFCCs of all variants into the store `out`: `(n_lfcc, frames)` float32 each.

    Beside it, `out` with the suffix `.json` says how they were made: a checkpoint keeps it.
    """

    def records() -> Iterator[tuple[dict[str, object], np.ndarray]]:
        with tqdm(total=len(utterances), desc="lfcc", unit="utterance", mininterval=1) as progress:
            for names, audio, plan in utterances.batches(BATCH):
                features = augment_lfcc(audio, plan, utterances.bank, options, threads)
                yield from zip(utterances.rows(names), features.reshape(-1, *features.shape[2:]), strict=True)
                progress.update(len(names))

    write_store(out, COLUMNS, records())
    write_made(out, {"frontend": "lfcc", **dataclasses.asdict(options), "seconds": utterances.seconds})


def write_made(out: str | os.PathLike, made: Mapping) -> None:
    """Say beside a feature store how it was made. Its last file: where it exists, the store is whole."""
    with atomic_path(Path(out).with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(made, indent=1) + "\n")


def open_features(path: str | os.PathLike) -> tuple[Store, dict]:
    """A feature store and how it was made.

    Raises:
        UserError: a file is missing or damaged.
    """
    description = Path(path).with_suffix(".json")
    try:
        made = json.loads(description.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{description}: missing or damaged ({error}): delete it and run again") from None
    return open_store(path, COLUMNS), made
