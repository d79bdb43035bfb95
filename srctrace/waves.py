"""Decode a language once: files to a packed set of equal-length waveforms."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from srctrace.audio import FACTS, SAMPLE_RATE, decode, fit
from srctrace.errors import UserError
from srctrace.rng import generator
from srctrace.store import write_store

IN_FLIGHT = 64  # files decoded ahead of the writer: bounds the memory


def pack_waves(
    utterances: Sequence[dict[str, str]],
    root: str | os.PathLike,
    out: str | os.PathLike,
    seconds: float,
    seed: int,
    threads: int = 1,
) -> None:
    """Decode `utterances` (rows of a manifest, paths relative to `root`) into the store `out`.

    A longer file is cropped at an offset drawn for (seed, utterance); a shorter one is repeated.

    Raises:
        UserError: a file is missing, or cannot be decoded (see `audio.decode`).
    """
    length = round(seconds * SAMPLE_RATE)

    missing = [row["path"] for row in utterances if not (Path(root) / row["path"]).is_file()]
    if missing:
        raise UserError(
            f"{Path(root) / missing[0]}: in the manifest but not there ({len(missing)} of {len(utterances)} files are "
            f"missing): put it back; the built-in corpus is spoken again if {root}/LANGUAGE.tsv is deleted"
        )

    def pack(row: dict[str, str]) -> tuple:
        clip = decode(Path(root) / row["path"])
        facts = {name: getattr(clip, name) for name in FACTS}
        samples = fit(clip.samples, length, generator(seed, row["utterance"], "crop"))
        return {"utterance": row["utterance"], **facts}, samples

    records = map_ordered(pack, utterances, threads)
    progress = tqdm(records, total=len(utterances), desc="decode", unit="file", mininterval=1)
    write_store(out, ["utterance", *FACTS], progress)


def map_ordered(function: Callable, items: Sequence, threads: int) -> Iterator:
    """`map` over threads, in order, with at most `IN_FLIGHT` results waiting."""
    with ThreadPoolExecutor(threads) as pool:
        source = iter(items)
        pending = [pool.submit(function, item) for item in islice(source, IN_FLIGHT)]
        try:
            while pending:
                result = pending.pop(0).result()
                pending.extend(pool.submit(function, item) for item in islice(source, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()
