"""What `srctrace score` found of every trial of one model, read again: embeddings, logits and whose they are."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from srctrace.errors import UserError
from srctrace.protocol import UNKNOWN_SPLITS
from srctrace.store import open_store

COLUMNS = ("utterance", "variant", "split", "language", "source", "speaker")
"""Columns of the index of embeddings, before `logit_{source}` of each source of the model."""

UNKNOWN = -1  # the label of a source that the model does not know


@dataclass(frozen=True)
class Trials:
    """Trials of one model: `n` of them, over the `k` sources that the model knows.

    `embedding` is `(n, d)` and `logits` `(n, k)`, both float64; `label` `(n,)` is the index of the true source, or
    `UNKNOWN`. The others are `(n,)` arrays of strings. An unknown speaker is the empty string.
    """

    sources: tuple[str, ...]
    embedding: np.ndarray
    logits: np.ndarray
    label: np.ndarray
    utterance: np.ndarray
    variant: np.ndarray
    split: np.ndarray
    language: np.ndarray
    source: np.ndarray
    speaker: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def where(self, chosen: np.ndarray) -> "Trials":
        """Those of a mask `(n,)`, or of indices."""
        columns = {name: value[chosen] for name, value in vars(self).items() if name != "sources"}
        return Trials(self.sources, **columns)

    def of_split(self, *splits: str) -> "Trials":
        """The clean trials of some splits."""
        return self.where(np.isin(self.split, splits) & (self.variant == "clean"))

    @property
    def train(self) -> "Trials":
        return self.of_split("train")

    @property
    def dev(self) -> "Trials":
        return self.of_split("dev")

    @property
    def known(self) -> "Trials":
        """Clean test trials, all of sources that the model knows."""
        return self.of_split("eval")

    @property
    def unknown(self) -> "Trials":
        """Clean trials of sources that it does not know, real speech among them."""
        return self.of_split(*UNKNOWN_SPLITS)


def read_embeddings(path: str | os.PathLike, sources: Sequence[str]) -> Trials:
    """The trials of a store of embeddings (ends in `.npy`).

    Args:
        sources: what the model knows, in the order of its labels.

    Raises:
        UserError: the store is missing or damaged, lacks the logits of a source, or has no train or no dev trial to fit
            a decision on.
    """
    store = open_store(path, [*COLUMNS, *(f"logit_{source}" for source in sources)])
    columns = {name: np.array([row[name] for row in store.rows], dtype=str) for name in COLUMNS}
    index = {source: label for label, source in enumerate(sources)}
    trials = Trials(
        tuple(sources),
        np.stack([store.record(number) for number in range(len(store))]).astype(float),
        np.array([[float(row[f"logit_{source}"]) for source in sources] for row in store.rows]),
        np.array([index.get(source, UNKNOWN) for source in columns["source"]]),
        **columns,
    )
    for split in ("train", "dev"):
        found = trials.of_split(split)
        if not len(found) or (found.label == UNKNOWN).any():
            raise UserError(
                f"{path}: a decision is fitted on clean {split} trials of {', '.join(sources)}, and of no others: "
                "score the model again"
            )
    return trials
