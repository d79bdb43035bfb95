"""Scoring: one model on its test conditions, one row per trial."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from srctrace.checkpoint import load_checkpoint
from srctrace.device import prepare
from srctrace.errors import UserError
from srctrace.model import SourceTracer
from srctrace.protocol import read_split
from srctrace.tables import write_table
from srctrace.trials import FeatureSets, Trial, batches

BATCH = 32  # trials scored at once


def score(
    folder: str | os.PathLike,
    features: str | os.PathLike,
    splits: Sequence[str | os.PathLike],
    variants: Sequence[str],
    out: str | os.PathLike,
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Score the model in `folder` on the eval rows of each split table of `splits`, in every variant.

    Writes `out/{test}.tsv`, named as the split table is. Columns: utterance, variant, label, predicted, and
    `p_{source}`, the softmax probability of each source.

    Raises:
        UserError: an input is missing or damaged, a table has no eval rows, a source is not one of the model's, or
            the features are not made as those it was trained on.
    """
    device = prepare(device, threads)
    model, description = load_checkpoint(folder)
    model.to(device)
    known: dict[tuple[str, str], list[float]] = {}  # conditions overlap: a trial is scored once
    for split in tqdm(splits, desc="score", unit="condition"):
        rows = [row for row in read_split(split) if row["split"] == "eval"]
        _require_known_sources(rows, description.sources, split)
        sets = FeatureSets.open(features, sorted({row["language"] for row in rows}))
        if sets.made != description.frontend:
            raise UserError(f"{features}: features are not made as those {folder} was trained on: train it again")
        trials = sets.trials(rows, variants, description.sources)
        new = [trial for trial in trials if (trial.utterance, trial.variant) not in known]
        for trial, probabilities in zip(new, _probabilities(model, new, device), strict=True):
            known[trial.utterance, trial.variant] = probabilities
        probabilities = [known[trial.utterance, trial.variant] for trial in trials]
        _write_scores(Path(out) / Path(split).name, trials, probabilities, description.sources)


def _require_known_sources(rows: Sequence[dict[str, str]], sources: Sequence[str], split: str | os.PathLike) -> None:
    if not rows:
        raise UserError(f"{split}: no eval rows")
    for row in rows:
        if row["source"] not in sources:
            known = ", ".join(sources)
            raise UserError(f"{split}: source {row['source']!r} is not one of the model's: {known}")


def _probabilities(model: SourceTracer, trials: Sequence[Trial], device: torch.device) -> list[list[float]]:
    found = []
    with torch.inference_mode():
        for inputs, _ in batches(trials, BATCH):
            _, logits = model(inputs.to(device))
            found += logits.double().softmax(dim=1).tolist()
    return found


def _write_scores(path: Path, trials: Sequence[Trial], probabilities: list[list[float]], sources: list[str]) -> None:
    columns = [f"p_{source}" for source in sources]
    rows = (
        {
            "utterance": trial.utterance,
            "variant": trial.variant,
            "label": sources[trial.label],
            "predicted": sources[row.index(max(row))],
            **dict(zip(columns, row, strict=True)),
        }
        for trial, row in zip(trials, probabilities, strict=True)
    )
    write_table(path, ["utterance", "variant", "label", "predicted", *columns], rows)
