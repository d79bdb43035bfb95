"""Scoring: one model on its test conditions, one row per trial."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from srctrace.audio import SAMPLE_RATE
from srctrace.checkpoint import load_checkpoint
from srctrace.device import memory_advice, prepare
from srctrace.errors import UserError
from srctrace.frontends.options import SslOptions
from srctrace.model import SourceTracer
from srctrace.protocol import read_split
from srctrace.tables import write_table
from srctrace.trials import OpenInputs, Trial, batches, find_trials

BATCH = 32  # trials scored at once, where their features are given


def score(
    folder: str | os.PathLike,
    open_inputs: OpenInputs,
    splits: Sequence[str | os.PathLike],
    variants: Sequence[str],
    out: str | os.PathLike,
    device: str = "cpu",
    threads: int = 1,
    ssl_options: SslOptions = SslOptions(),  # noqa: B008 - frozen
) -> None:
    """Score the model in `folder` on the eval rows of each split table of `splits`, in every variant.

    Writes `out/{test}.tsv`, named as the split table is. Columns: utterance, variant, label, predicted, and
    `p_{source}`, the softmax probability of each source.

    Args:
        ssl_options: how a model with an SSL front-end of its own runs.

    Raises:
        UserError: an input is missing or damaged, a table has no eval rows, a source is not one of the model's, the
            inputs are not made as those it was trained on, or the memory is too small.
    """
    device = prepare(device, threads)
    model, description = load_checkpoint(folder)
    size, seconds = BATCH, ssl_options.batch_seconds
    advice = f"set ssl.batch_seconds to {seconds / 2:g} or less (it is {seconds:g})"
    advice = advice if model.ssl is not None else "set device to cpu"
    with memory_advice(advice):
        model.to(device)
        if model.ssl is not None:
            model.ssl.use(device, ssl_options.precision)
    known: dict[tuple[str, str], list[float]] = {}  # conditions overlap: a trial is scored once
    for split in tqdm(splits, desc="score", unit="condition"):
        rows = [row for row in read_split(split) if row["split"] == "eval"]
        _require_known_sources(rows, description.sources, split)
        inputs = open_inputs(sorted({row["language"] for row in rows}))
        if inputs.made != description.frontend:
            where = next(iter(inputs.stores.values())).path.parent
            raise UserError(f"{where}: not made as what {folder} was trained on: train it again")
        if model.ssl is not None:
            size = max(1, int(seconds * SAMPLE_RATE / inputs.shape[-1]))
        trials = find_trials(inputs, rows, variants, description.sources)
        new = [trial for trial in trials if (trial.utterance, trial.variant) not in known]
        with memory_advice(advice):
            scored = _probabilities(model, new, size, device)
        for trial, probabilities in zip(new, scored, strict=True):
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


def _probabilities(model: SourceTracer, trials: Sequence[Trial], size: int, device: torch.device) -> list[list[float]]:
    found = []
    with torch.inference_mode():
        for inputs, _ in batches(trials, size):
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
