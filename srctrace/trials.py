"""Trials of a condition as batches: records of feature stores, with their labels."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srctrace.errors import UserError
from srctrace.features import open_features
from srctrace.rng import generator
from srctrace.store import Store


@dataclass(frozen=True)
class Trial:
    """One utterance in one variant, and where its features are."""

    utterance: str
    variant: str
    label: int
    store: Store
    index: int

    def features(self) -> np.ndarray:
        """`(n_features, frames)` float32, checked against the store's checksum."""
        return self.store.record(self.index)


@dataclass(frozen=True)
class FeatureSets:
    """The feature stores of the languages of a run, all made in the same way."""

    stores: dict[str, Store]
    made: dict

    @classmethod
    def open(cls, folder: str | os.PathLike, languages: Sequence[str]) -> "FeatureSets":
        """Open `folder/{language}.npy` for each language.

        Raises:
            UserError: one is missing or damaged, or they were made with different options.
        """
        stores, made = {}, None
        for language in languages:
            path = Path(folder) / f"{language}.npy"
            stores[language], this = open_features(path)
            if made is not None and this != made:
                raise UserError(f"{path}: made with other front-end options than the other languages: make it again")
            made = this
        return cls(stores, made or {})

    def trials(self, rows: Sequence[dict[str, str]], variants: Sequence[str], sources: Sequence[str]) -> list[Trial]:
        """One trial per row of a split table and variant, in the rows' order.

        Raises:
            UserError: an utterance has no features in a variant, or a source that is not in `sources`.
        """
        where = {
            (record["utterance"], record["variant"]): (store, index)
            for store in self.stores.values()
            for index, record in enumerate(store.rows)
        }
        label_of = {source: label for label, source in enumerate(sources)}
        found = []
        for row in rows:
            if row["source"] not in label_of:
                raise UserError(
                    f"{row['utterance']!r} is of source {row['source']!r}, which is not among those given: "
                    f"{', '.join(sources)}"
                )
            for variant in variants:
                place = where.get((row["utterance"], variant))
                if place is None:
                    raise UserError(
                        f"features: {row['utterance']!r} has no {variant!r} record: delete the features of "
                        f"{row['language']!r} and run again"
                    )
                found.append(Trial(row["utterance"], variant, label_of[row["source"]], *place))
        return found


def batches(trials: Sequence[Trial], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole trials in order: features `(batch, n_features, frames)` and labels `(batch,)`."""
    for start in range(0, len(trials), size):
        chunk = trials[start : start + size]
        yield torch.from_numpy(np.stack([trial.features() for trial in chunk])), labels(chunk)


def cropped(trials: Sequence[Trial], frames: int, *address: str | int) -> Tensor:
    """Features `(batch, n_features, frames)`, each cut at an offset drawn for (address, utterance, variant).

    0 frames, or at least as many as there are, means whole.
    """
    pieces = []
    for trial in trials:
        features = trial.features()
        spare = features.shape[1] - frames
        if frames and spare > 0:
            start = int(generator(*address, trial.utterance, trial.variant).integers(spare + 1))
            features = features[:, start : start + frames]
        pieces.append(features)
    return torch.from_numpy(np.stack(pieces))


def labels(trials: Sequence[Trial]) -> Tensor:
    """Labels `(batch,)`, int64."""
    return torch.tensor([trial.label for trial in trials])
