"""A small feature set on disk, whose classes can be told apart: for tests of training and scoring."""

import json
from functools import partial
from pathlib import Path

import numpy as np

from srctrace.manifest import write_sources
from srctrace.protocol import COLUMNS
from srctrace.store import write_store
from srctrace.tables import write_table
from srctrace.trials import FeatureSets, OpenInputs

SOURCES = ["a", "b", "c"]
VARIANTS = ["clean", "noise"]
N_FEATURES, FRAMES = 40, 60
COUNTS = {"train": 12, "dev": 4, "eval": 6}  # utterances per source


def inputs(root: Path) -> OpenInputs:
    """What opens the features below `root`."""
    return partial(FeatureSets.open, root / "features")


def make_features(root: Path, language: str = "en", options: dict | None = None) -> None:
    """Write `features/{language}` and `splits/{language}.tsv` below `root`. Each source has a spectrum of its own."""
    rng = np.random.default_rng(len(language) + ord(language[0]))
    shapes = np.random.default_rng(0).normal(size=(len(SOURCES), N_FEATURES, 1))
    rows, records = [], []
    for split, count in COUNTS.items():
        for label, source in enumerate(SOURCES):
            for number in range(count):
                utterance = f"{language}/{source}/{split}{number}"
                rows.append(
                    dict.fromkeys(COLUMNS, "")
                    | {"split": split, "utterance": utterance, "language": language, "source": source}
                )
                for variant in VARIANTS:
                    noise = rng.normal(size=(N_FEATURES, FRAMES)) * (0.5 if variant == "clean" else 1)
                    record = (100 * (shapes[label] + noise)).astype(np.float32)
                    records.append(({"utterance": utterance, "variant": variant, "split": split}, record))
    write_store(root / "features" / f"{language}.npy", ["utterance", "variant", "split"], records)
    description = {"frontend": "lfcc", "n_lfcc": N_FEATURES, "sample_rate": 16000, "hop_length": 160}
    description |= {"seconds": 0.6} | (options or {})
    (root / "features" / f"{language}.json").write_text(json.dumps(description))
    write_table(root / "splits" / f"{language}.tsv", COLUMNS, rows)
    write_sources(root / "sources.tsv", SOURCES)
