"""Speaker embeddings: a vector per utterance, which says who speaks more than what is said."""

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.store import Store, open_store, write_store

STATISTICS = "LFCC statistics"
"""Name of the embedding without a model: means, then standard deviations, over time of each LFCC."""

COLUMNS = ("utterance",)
BATCH = 16  # utterances embedded at a time

Embed = Callable[[np.ndarray], np.ndarray]


def embed_waves(waves: str | os.PathLike, out: str | os.PathLike, model: str, device: str, threads: int) -> None:
    """Embed the store `waves` into the store `out`: `(utterances, dimensions)` float32.

    Beside it, `out` with the suffix `.json` names the embedding.

    Args:
        model: name or path of an x-vector model of transformers; empty: statistics of LFCCs.

    Raises:
        UserError: the model cannot be had (see `xvector.load`), or gives a value that is not finite.
    """
    store = open_store(waves, COLUMNS)
    if model:
        # Not at the top: it imports torch, which statistics do without.
        embed, made = importlib.import_module("srctrace.speakers.xvector").load(model, device, threads)
    else:
        embed, made = _statistics(threads), {"embedding": STATISTICS}

    def records():
        for first in tqdm(range(0, len(store), BATCH), desc="embed", unit="batch", mininterval=1):
            batch = range(first, min(first + BATCH, len(store)))
            vectors = embed(np.stack([store.record(index) for index in batch])).astype(np.float32)
            for index, vector in zip(batch, vectors, strict=True):
                utterance = store.rows[index]["utterance"]
                if not np.isfinite(vector).all():
                    raise UserError(f"{waves}: the embedding of {utterance!r} by {made['embedding']} is not finite")
                yield {"utterance": utterance}, vector

    write_store(out, COLUMNS, records())
    with atomic_path(Path(out).with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(made, indent=1) + "\n")


def open_embeddings(path: str | os.PathLike) -> tuple[Store, str]:
    """A store of embeddings, and the name of the embedding.

    Raises:
        UserError: a file is missing or damaged.
    """
    made = Path(path).with_suffix(".json")
    try:
        name = json.loads(made.read_text())["embedding"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{made}: missing or damaged ({error}): delete it and run again") from None
    return open_store(path, COLUMNS), name


def _statistics(threads: int) -> Embed:
    options = LfccOptions()

    def embed(waves: np.ndarray) -> np.ndarray:
        features = lfcc(waves, options, threads).astype(np.float64)
        return np.concatenate([features.mean(axis=2), features.std(axis=2)], axis=1)

    return embed
