"""Trials of a condition as batches: what a model is given of each utterance and variant, with its label.

That is a record of a feature store, or, for a model that has its own front-end, the waveform, mixed when it is read.
Both are of the same trials: the noise of an utterance's variant depends on the protocol's seed alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from srctrace.audio import SAMPLE_RATE
from srctrace.augment import augment, draw, plan_of
from srctrace.bank import Bank, open_bank
from srctrace.errors import UserError
from srctrace.features import open_features
from srctrace.rng import generator
from srctrace.staging import Staged
from srctrace.store import Store, open_store


@dataclass(frozen=True)
class Trial:
    """One utterance in one variant, its label, and what reads its input."""

    utterance: str
    variant: str
    label: int
    read: Callable[[], np.ndarray]
    """Input `(…, frames)`, checked against the store's checksum."""


class Inputs(Protocol):
    """Where a run's inputs come from: feature stores, or waveforms with noise."""

    stores: dict[str, Store]  # by language
    read: dict[str, Store]  # all that they come from, by name
    made: dict  # how: a model is given no other inputs than it was trained on
    shape: tuple[int, ...]  # of an input
    rate: float  # frames per second

    def reader(self, utterance: str, variant: str, split: str) -> Callable[[], np.ndarray] | None:
        """What reads an input; none if there is no such utterance or variant."""


OpenInputs = Callable[[Sequence[str]], Inputs]
"""From languages to their inputs: `FeatureSets.open` or `WaveSets.open`, given where they are."""


@dataclass(frozen=True)
class FeatureSets:
    """The feature stores of the languages of a run, all made in the same way."""

    stores: dict[str, Store]
    made: dict
    places: dict[tuple[str, str], tuple[Store, int]]

    @classmethod
    def open(cls, folder: str | os.PathLike, languages: Sequence[str], staged: Staged = list) -> "FeatureSets":
        """Open `folder/{language}.npy` for each language.

        Args:
            staged: see `staging.staging`.

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
        stores = dict(zip(stores, staged(stores.values()), strict=True))
        places = {
            (record["utterance"], record["variant"]): (store, index)
            for store in stores.values()
            for index, record in enumerate(store.rows)
        }
        return cls(stores, made or {}, places)

    @property
    def read(self) -> dict[str, Store]:
        return self.stores

    @property
    def shape(self) -> tuple[int, ...]:
        return _shape(self.stores)

    @property
    def rate(self) -> float:
        return self.made["sample_rate"] / self.made["hop_length"]

    def reader(self, utterance: str, variant: str, split: str) -> Callable[[], np.ndarray] | None:
        place = self.places.get((utterance, variant))
        return place and partial(place[0].record, place[1])


@dataclass(frozen=True)
class WaveSets:
    """The decoded utterances of the languages of a run, and the noise to mix them with when they are read."""

    stores: dict[str, Store]
    made: dict
    places: dict[str, tuple[Store, int]]
    bank: Bank
    seed: int
    rate: float = SAMPLE_RATE

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike,
        bank: str | os.PathLike,
        seed: int,
        languages: Sequence[str],
        staged: Staged = list,
    ) -> "WaveSets":
        """Open `folder/{language}.npy` for each language.

        Args:
            seed: draws the noise, as for the features: the protocol's.
            staged: see `staging.staging`.

        Raises:
            UserError: a file is missing or damaged.
        """
        stores = [open_store(Path(folder) / f"{language}.npy", ["utterance"]) for language in languages]
        noise = open_bank(bank)
        *stores, noise_store = staged([*stores, noise.store])
        noise = replace(noise, samples=noise_store.array, store=noise_store)
        places = {record["utterance"]: (store, index) for store in stores for index, record in enumerate(store.rows)}
        seconds = stores[0].array.shape[1] / SAMPLE_RATE
        made = {"frontend": "waves", "sample_rate": SAMPLE_RATE, "seed": seed, "seconds": seconds}
        return cls(dict(zip(languages, stores, strict=True)), made, places, noise, seed)

    @property
    def read(self) -> dict[str, Store]:
        return self.stores | {"noise": self.bank.store}

    @property
    def shape(self) -> tuple[int, ...]:
        return _shape(self.stores)

    def reader(self, utterance: str, variant: str, split: str) -> Callable[[], np.ndarray] | None:
        place = self.places.get(utterance)
        return place and partial(self._mixed, *place, utterance, variant, split)

    def _mixed(self, store: Store, index: int, utterance: str, variant: str, split: str) -> np.ndarray:
        """`(samples,)` float32, in units of full scale."""
        waves = store.record(index)[np.newaxis]
        mix = draw(self.bank, utterance, variant, split, self.seed)
        return augment(waves, plan_of([[mix]], self.bank, waves.shape[1]), self.bank)[0, 0]


def find_trials(
    inputs: Inputs, rows: Sequence[Mapping[str, str]], variants: Sequence[str], sources: Sequence[str]
) -> list[Trial]:
    """One trial per row of a split table and variant, in the rows' order.

    Raises:
        UserError: an utterance has no input in a variant, or a source that is not in `sources`.
    """
    label_of = {source: label for label, source in enumerate(sources)}
    found = []
    for row in rows:
        if row["source"] not in label_of:
            raise UserError(
                f"{row['utterance']!r} is of source {row['source']!r}, which is not among those given: "
                f"{', '.join(sources)}"
            )
        for variant in variants:
            read = inputs.reader(row["utterance"], variant, row["split"])
            if read is None:
                raise UserError(
                    f"{inputs.stores[row['language']].path}: {row['utterance']!r} has no {variant!r} record: delete "
                    f"the file and run again"
                )
            found.append(Trial(row["utterance"], variant, label_of[row["source"]], read))
    return found


def batches(trials: Sequence[Trial], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole trials in order: inputs `(batch, …, frames)` float32 and labels `(batch,)`."""
    chunks = [trials[start : start + size] for start in range(0, len(trials), size)]
    return ahead((cropped, chunk, 0) for chunk in chunks)


def cropped(trials: Sequence[Trial], frames: int, *address: str | int) -> tuple[Tensor, Tensor]:
    """Inputs `(batch, …, frames)`, each cut at an offset drawn for (address, utterance, variant), and labels.

    0 frames, or at least as many as there are, means whole.
    """
    pieces = []
    for trial in trials:
        piece = trial.read()
        spare = piece.shape[-1] - frames
        if frames and spare > 0:
            start = int(generator(*address, trial.utterance, trial.variant).integers(spare + 1))
            piece = piece[..., start : start + frames]
        pieces.append(piece)
    inputs = torch.from_numpy(np.stack(pieces).astype(np.float32, copy=False))
    return inputs, torch.tensor([trial.label for trial in trials])


def ahead(calls: Iterable[tuple]) -> Iterator:
    """Results of calls (function, argument, …) in order, each made while the one before is worked on."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for call in calls:
            following = pool.submit(*call)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _shape(stores: Mapping[str, Store]) -> tuple[int, ...]:
    return next(iter(stores.values())).array.shape[1:]
