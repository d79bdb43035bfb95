"""LFCCs of every variant of every utterance of a language: computed once, read by every model."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srctrace.augment import open_bank, variants_of
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.store import Store, open_store, write_store

COLUMNS = ("utterance", "variant", "split")


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
        progress = tqdm(wanted, desc="lfcc", unit="utterance", mininterval=1)
        for index in progress:
            utterance = clean.rows[index]["utterance"]
            split = split_of[utterance]
            audio = np.stack(list(variants_of(clean.record(index), utterance, split, noises, variants, seed)))
            for variant, feature in zip(variants, lfcc(audio, options, threads=threads), strict=True):
                yield {"utterance": utterance, "variant": variant, "split": split}, feature

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
