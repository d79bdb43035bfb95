"""Scoring: one model on its test conditions, one row per trial; and the embeddings and logits behind them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from srctrace.audio import SAMPLE_RATE
from srctrace.checkpoint import load_checkpoint
from srctrace.device import memory_advice, prepare
from srctrace.embeddings import COLUMNS as EMBEDDING_COLUMNS
from srctrace.errors import UserError
from srctrace.frontends.options import SslOptions
from srctrace.protocol import UNKNOWN_SPLITS, read_split
from srctrace.store import write_store
from srctrace.tables import write_table
from srctrace.trials import OpenInputs, batches, find_trials

BATCH = 32  # trials scored at once, where their features are given
CLEAN = ("clean",)  # what decisions are fitted on

Row = dict[str, str]


@dataclass(frozen=True)
class Lists:
    """The split lists of what a model is to score.

    `tests`: of its test conditions, whose eval rows are scored. `fit`: of its train condition, whose train and dev rows
    are what a decision is fitted on. `unknown`: of out-of-set sources, if there are any; their rows in `UNKNOWN_SPLITS`
    are scored in the languages that are tested.
    """

    tests: Sequence[str | os.PathLike]
    fit: str | os.PathLike
    unknown: str | os.PathLike | None = None


def score(
    folder: str | os.PathLike,
    open_inputs: OpenInputs,
    lists: Lists,
    variants: Sequence[str],
    out: str | os.PathLike,
    embeddings: str | os.PathLike,
    device: str = "cpu",
    threads: int = 1,
    ssl_options: SslOptions = SslOptions(),  # noqa: B008 - frozen
) -> None:
    """Score the model in `folder`: test conditions in every variant, and clean what decisions are fitted on.

    Writes `out/{test}.tsv` for each test condition, named as its list is. Columns: utterance, variant, label,
    predicted, and `p_{source}`, the softmax probability of each source. Writes the store `embeddings` with the
    embedding `(size,)` float32 of every trial, once; its index has the `EMBEDDING_COLUMNS` and the logits.

    Args:
        ssl_options: how a model with an SSL front-end of its own runs.

    Raises:
        UserError: an input is missing or damaged, a table has no eval rows, a source is not one of the model's, the
            inputs are not made as those it was trained on, or the memory is too small.
    """
    scorer = _Scorer(folder, open_inputs, prepare(device, threads), ssl_options)
    columns = [*EMBEDDING_COLUMNS, *(f"logit_{source}" for source in scorer.description.sources)]
    write_store(embeddings, columns, scorer.records(lists, variants, Path(out)))


class _Scorer:
    """A model and its inputs; and what it found of each trial, as conditions overlap."""

    def __init__(
        self, folder: str | os.PathLike, open_inputs: OpenInputs, device: torch.device, ssl_options: SslOptions
    ):
        self.folder, self.open_inputs, self.device = folder, open_inputs, device
        self.model, self.description = load_checkpoint(folder)
        self.seconds = ssl_options.batch_seconds
        advice = f"set ssl.batch_seconds to {self.seconds / 2:g} or less (it is {self.seconds:g})"
        self.advice = advice if self.model.ssl is not None else "set device to cpu"
        self.known: dict[tuple[str, str], list[float]] = {}  # probabilities
        with memory_advice(self.advice):
            self.model.to(device)
            if self.model.ssl is not None:
                self.model.ssl.use(device, ssl_options.precision)

    def records(self, lists: Lists, variants: Sequence[str], out: Path) -> Iterator[tuple[dict, np.ndarray]]:
        """Embeddings and their rows; the table of a condition is written when its trials are scored."""
        yield from self._scored([row for row in read_split(lists.fit) if row["split"] in ("train", "dev")], CLEAN)
        tested = set()
        for split in tqdm(lists.tests, desc="score", unit="condition"):
            rows = [row for row in read_split(split) if row["split"] == "eval"]
            _require_known_sources(rows, self.description.sources, split)
            yield from self._scored(rows, variants)
            tested |= {row["language"] for row in rows}
            self._write_scores(out / Path(split).name, rows, variants)
        if lists.unknown:
            rows = [row for row in read_split(lists.unknown) if row["split"] in UNKNOWN_SPLITS]
            yield from self._scored([row for row in rows if row["language"] in tested], CLEAN)

    def _scored(self, rows: Sequence[Row], variants: Sequence[str]) -> Iterator[tuple[dict, np.ndarray]]:
        if not rows:
            return
        inputs = self.open_inputs(sorted({row["language"] for row in rows}))
        if inputs.made != self.description.frontend:
            where = next(iter(inputs.stores.values())).path.parent
            raise UserError(f"{where}: not made as what {self.folder} was trained on: train it again")
        size = BATCH
        if self.model.ssl is not None:
            size = max(1, int(self.seconds * SAMPLE_RATE / inputs.shape[-1]))
        new = [(row, variant) for row in rows for variant in variants if (row["utterance"], variant) not in self.known]
        wanted = {(row["utterance"], variant) for row, variant in new}
        sources = list(dict.fromkeys([*self.description.sources, *(row["source"] for row in rows)]))
        trials = [
            trial
            for trial in find_trials(inputs, rows, variants, sources)
            if (trial.utterance, trial.variant) in wanted
        ]
        position = 0
        with torch.inference_mode(), memory_advice(self.advice):
            for batch, _ in batches(trials, size):
                embedded, logits = self.model(batch.to(self.device))
                found = zip(
                    embedded.float().cpu().numpy(),
                    logits.double().tolist(),
                    logits.double().softmax(dim=1).tolist(),
                    strict=True,
                )
                for embedding, values, probabilities in found:
                    row, variant = new[position]
                    position += 1
                    self.known[row["utterance"], variant] = probabilities
                    named = {column: row.get(column, "") for column in EMBEDDING_COLUMNS} | {"variant": variant}
                    named |= {
                        f"logit_{name}": value for name, value in zip(self.description.sources, values, strict=True)
                    }
                    yield named, embedding

    def _write_scores(self, path: Path, rows: Sequence[Row], variants: Sequence[str]) -> None:
        sources = self.description.sources
        columns = [f"p_{source}" for source in sources]
        table = []
        for row in rows:
            for variant in variants:
                probabilities = self.known[row["utterance"], variant]
                table.append(
                    {
                        "utterance": row["utterance"],
                        "variant": variant,
                        "label": row["source"],
                        "predicted": sources[probabilities.index(max(probabilities))],
                        **dict(zip(columns, probabilities, strict=True)),
                    }
                )
        write_table(path, ["utterance", "variant", "label", "predicted", *columns], table)


def _require_known_sources(rows: Sequence[Row], sources: Sequence[str], split: str | os.PathLike) -> None:
    if not rows:
        raise UserError(f"{split}: no eval rows")
    for row in rows:
        if row["source"] not in sources:
            known = ", ".join(sources)
            raise UserError(f"{split}: source {row['source']!r} is not one of the model's: {known}")
