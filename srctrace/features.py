"""LFCCs of every variant of every utterance of a language: computed once, read by every model."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srctrace.augment import augment_lfcc, draw, plan_of
from srctrace.bank import open_bank
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.frontends.lfcc import LfccOptions
from srctrace.store import Store, open_store, write_store

COLUMNS = ("utterance", "variant", "split")
BATCH = 32  # utterances computed at a time: keeps the threads busy, and bounds the memory


def pack_features(
    waves: str | os.PathLike,
    bank: str | os.PathLike,
    split_of: Mapping[str, str],
    out: str | os.PathLike,
    options: LfccOptions,
    variants: Sequence[str],
    seed: int,
    threads: int = 1,
) -> None:
    """LFCCs of the utterances in `split_of` (utterance to split) that are in the store `waves`, into the store `out`.

    Beside it, `out` with the suffix `.json` says how they were made: a checkpoint keeps it.
    """
    clean = open_store(waves, ["utterance"])
    noises = open_bank(bank)
    wanted = [index for index, row in enumerate(clean.rows) if row["utterance"] in split_of]
    if not wanted:
        raise UserError(f"{waves}: none of its utterances has a split")

    def records() -> Iterator[tuple[dict[str, object], np.ndarray]]:
        progress = tqdm(total=len(wanted), desc="lfcc", unit="utterance", mininterval=1)
        for first in range(0, len(wanted), BATCH):
            batch = wanted[first : first + BATCH]
            names = [clean.rows[index]["utterance"] for index in batch]
            audio = np.stack([clean.record(index) for index in batch])
            mixes = [[draw(noises, name, variant, split_of[name], seed) for variant in variants] for name in names]
            plan = plan_of(mixes, noises, audio.shape[1])
            features = augment_lfcc(audio, plan, noises, options, threads)
            for name, of_variants in zip(names, features, strict=True):
                for variant, feature in zip(variants, of_variants, strict=True):
                    yield {"utterance": name, "variant": variant, "split": split_of[name]}, feature
            progress.update(len(batch))
        progress.close()

    write_store(out, COLUMNS, records())
    with atomic_path(Path(out).with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps({"frontend": "lfcc", **dataclasses.asdict(options)}, indent=1) + "\n")


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
