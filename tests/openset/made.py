"""Trials that were never spoken: each source a cloud of embeddings, in two languages."""

import json

import numpy as np

from srctrace.embeddings import COLUMNS, UNKNOWN, Trials
from srctrace.store import write_store

SOURCES = ("a", "b", "c")
MODEL = {"corpus": "made", "system": "lfcc-resnet18", "seed": "1", "train": "en"}
SIZE = 8
COUNTS = {"train": 20, "dev": 12, "eval": 15}


def made_trials(unknown=("x", "y"), variants=("clean",), spread: float = 1.0, seed: int = 0) -> Trials:
    """Trials of a model trained in `en`, tested there and in `de`; with a larger `spread`, worse to tell apart."""
    rng = np.random.default_rng(seed)
    centres = {source: 6 * rng.standard_normal(SIZE) for source in (*SOURCES, *unknown)}
    weights = np.stack([centres[source] for source in SOURCES])
    columns = {name: [] for name in COLUMNS}
    embeddings, labels = [], []

    def add(source: str, language: str, split: str, variant: str, number: int) -> None:
        label = SOURCES.index(source) if source in SOURCES else UNKNOWN
        name = f"{language}/{source}/{split}{number}"
        values = (name, variant, split, language, source, f"s{number % 4}")
        for column, value in zip(COLUMNS, values, strict=True):
            columns[column].append(value)
        embeddings.append(centres[source] + spread * rng.standard_normal(SIZE))
        labels.append(label)

    for split, count in COUNTS.items():
        for language in ("en", "de") if split == "eval" else ("en",):
            for variant in variants if split == "eval" else ("clean",):
                for number in range(count):
                    for source in SOURCES:
                        add(source, language, split, variant, number)
    for source in unknown:
        for language in ("en", "de"):
            for number in range(8):
                add(source, language, "eval-unknown", "clean", number)
    embedding = np.array(embeddings)
    logits = (embedding @ weights.T - (weights**2).sum(axis=1) / 2) / 10
    texts = {name: np.array(values, dtype=str) for name, values in columns.items()}
    return Trials(SOURCES, embedding, logits, np.array(labels), **texts)


def write_trials(trials: Trials, folder) -> None:
    """As `srctrace score` leaves a model's folder, but for its weights."""
    logits = [f"logit_{source}" for source in trials.sources]
    records = (
        (
            {name: getattr(trials, name)[index] for name in COLUMNS}
            | dict(zip(logits, trials.logits[index].tolist(), strict=True)),
            trials.embedding[index].astype(np.float32),
        )
        for index in range(len(trials))
    )
    write_store(folder / "embeddings.npy", [*COLUMNS, *logits], records)
    training = {"corpus": "made", "languages": ["en"]}
    content = {"sources": list(trials.sources), "training": training, "weights_sha256": "12ab"}
    (folder / "model.json").write_text(json.dumps(content))
