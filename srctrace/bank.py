"""The noise bank: noise, music, talkers and impulse responses, decoded once and dealt to train, dev and eval.

It is partitioned: no file serves two splits.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srctrace import _C
from srctrace.audio import SUFFIXES, decode
from srctrace.errors import UserError
from srctrace.rng import generator
from srctrace.store import Store, open_store, write_ragged_store
from srctrace.tables import read_table
from srctrace.waves import map_ordered

LISTING_COLUMNS = ("category", "file")
BANK_COLUMNS = ("category", "file", "split")
CATEGORIES = ("noise", "music", "speech", "rir")
LEAST_FILES = {"noise": 1, "music": 1, "speech": 3, "rir": 1}  # of a split; three talkers are the least of a babble
SHARES = (("train", 0.6), ("dev", 0.15), ("eval", 0.25))  # of the files of a category
SPECTRA_BYTES = 256 << 20  # of impulse responses that are kept from one utterance to the next


@dataclass(frozen=True)
class Bank:
    """Recordings one after the other: record `r` is `samples[starts[r]:starts[r + 1]]`, int16, mono, 16 kHz.

    `members[category, split]` are indices of records, where the recordings come from a store.
    """

    samples: np.ndarray
    starts: np.ndarray
    members: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    store: Store | None = None
    _on: dict = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, signals: Sequence[np.ndarray]) -> "Bank":
        """A bank of int16 arrays."""
        starts = np.cumsum([0, *map(len, signals)], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.int16), *signals], dtype=np.int16, casting="no"), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def signal(self, record: int) -> np.ndarray:
        """One recording.

        Raises:
            UserError: it is damaged in the store.
        """
        if self.store is not None:
            self.check([record])
        return self.samples[self.starts[record] : self.starts[record + 1]]

    def check(self, records: Iterable[int]) -> None:
        """Check recordings of a store, each when it is first asked for.

        Raises:
            UserError: one is damaged.
        """
        if self.store is not None:
            for record in records:
                self.store.record(record)

    def on(self, device):
        """The bank in the memory of a GPU, where it stays: a `srctrace.gpu.DeviceBank`."""
        if device not in self._on:
            from srctrace.gpu import DeviceBank  # noqa: PLC0415 - it imports torch

            self._on[device] = DeviceBank(np.asarray(self.samples), self.starts, device)
        return self._on[device]

    @cached_property
    def core(self) -> _C.Bank:
        """What the C++ core knows of it, with its cache of spectra."""
        return _C.Bank(np.asarray(self.samples), self.starts, SPECTRA_BYTES)


def pack_bank(
    musan: str | os.PathLike,
    rirs: str | os.PathLike,
    out: str | os.PathLike,
    seed: int,
    threads: int = 1,
    listing: str | os.PathLike | None = None,
):
    """Decode a tree of MUSAN (`{noise,music,speech}/*/*.wav`) and one of impulse responses into one ragged store.

    Of RIRS_NOISES as released, the recordings of noise are left out, and of an array's responses the first channel is
    taken: the mean of several microphones is no room's response.

    Args:
        listing: a table of `category` and `file`, relative to the category's folder: all that must be there.

    Raises:
        UserError: a category has too few files to give each split its own, a listed file is not there, or a file
            cannot be decoded.
    """
    files = []
    for category in CATEGORIES:
        root = Path(rirs) if category == "rir" else Path(musan) / category
        found = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
        if category == "rir":
            found = [path for path in found if not _is_noise(path)]
        least = 3 * LEAST_FILES[category]
        if len(found) < least:
            raise UserError(f"{root}: {len(found)} audio files, but train, dev and eval need {least} between them")
        splits = _deal(len(found), seed, category)
        files += [(category, root, path, split) for path, split in zip(found, splits, strict=True)]

    if listing is not None:
        _require_listed(listing, {(category, path.relative_to(root).as_posix()) for category, root, path, _ in files})

    def pack(entry: tuple) -> tuple:
        category, root, path, split = entry
        row = {"category": category, "file": path.relative_to(root).as_posix(), "split": split}
        return row, decode(path, channel=0 if category == "rir" else None).samples

    records = tqdm(map_ordered(pack, files, threads), total=len(files), desc="noise bank", unit="file", mininterval=1)
    write_ragged_store(out, BANK_COLUMNS, records)


def open_bank(path: str | os.PathLike) -> Bank:
    """Open what `pack_bank` wrote."""
    store = open_store(path, BANK_COLUMNS)
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(store.rows):
        members[row["category"], row["split"]].append(index)
    starts = np.array([*(int(row["start"]) for row in store.rows), len(store.array)], np.int64)
    return Bank(store.array, starts, dict(members), store)


def _is_noise(path: Path) -> bool:
    """Whether a file of RIRS_NOISES is a recording of noise and no impulse response, by its released name."""
    return "pointsource_noises" in path.parts or (
        "real_rirs_isotropic_noises" in path.parts and "noise" in path.name.lower()
    )


def _require_listed(listing: str | os.PathLike, found: set[tuple[str, str]]) -> None:
    listed = {(row["category"], row["file"]) for row in read_table(listing, LISTING_COLUMNS)}
    for category, file in sorted(listed ^ found):
        wrong = "is listed but not there" if (category, file) in listed else "is there but not listed"
        raise UserError(f"{listing}: {category} file {file!r} {wrong}: delete {listing} and run again to make it anew")


def _deal(count: int, seed: int, category: str) -> list[str]:
    """A split for each of `count` files: drawn, by `SHARES`, with at least `LEAST_FILES` in each."""
    sizes = {split: max(LEAST_FILES[category], round(share * count)) for split, share in SHARES[1:]}
    names = [split for split, size in sizes.items() for _ in range(size)]
    names += ["train"] * (count - len(names))
    order = generator(seed, "bank", category).permutation(count)
    splits = [""] * count
    for name, position in zip(names, order, strict=True):
        splits[position] = name
    return splits
