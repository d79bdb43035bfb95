"""A small corpus of random numbers: tables and stores as the workflow makes them, without any audio."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from srctrace.baselines import METADATA
from srctrace.manifest import COLUMNS as MANIFEST_COLUMNS
from srctrace.protocol import COLUMNS as SPLIT_COLUMNS
from srctrace.store import write_store
from srctrace.tables import read_table, write_table

SOURCES = ("bark", "vits", "xtts")
LANGUAGES = ("de", "fr")
SIZES = {"train": 40, "dev": 10, "eval": 24}  # utterances per language and source
SHAPE = (6, 20)  # of LFCCs


@dataclass(frozen=True)
class RandomCorpus:
    """Where the files of the corpus are; `rows` are those of the split tables, by language."""

    folder: Path
    rows: dict[str, list[dict[str, str]]]

    def split(self, language: str) -> Path:
        return self.folder / "splits" / f"{language}.tsv"

    def waves(self, language: str) -> Path:
        return self.folder / "waves" / f"{language}.tsv"

    def features(self, language: str) -> Path:
        return self.folder / "features" / f"{language}.npy"

    def arguments(self) -> dict:
        """Of `audit`, without `out`."""
        return {
            "corpus": "synthetic",
            "protocol": "mono",
            "manifest": self.folder / "manifest.tsv",
            "cells": list(product(LANGUAGES, repeat=2)),
            "splits": self.folder / "splits",
            "waves": [self.waves(language) for language in LANGUAGES],
            "features": [self.features(language) for language in LANGUAGES],
        }


def edit(path: Path, change, where=lambda row: True) -> None:
    """Change the rows of a table for which `where` holds; `change` gives new values from a row."""
    rows = read_table(path, [])
    write_table(path, list(rows[0]), [{**row, **change(row)} if where(row) else row for row in rows])


def make(folder: Path) -> RandomCorpus:
    """Nothing tells the sources apart, and nothing leaks."""
    rng = np.random.default_rng(0)
    rows, manifest = {}, []
    for language in LANGUAGES:
        rows[language] = [
            {
                "split": split,
                "utterance": f"{language}-{source}-{split}-{number}",
                "language": language,
                "source": source,
                "speaker": f"s{number % 6}" if split == "eval" else f"s{number % 4}",
                "sentence": f"{split}-{number}",
                "seen_speaker": "no" if split == "eval" and number % 6 > 3 else "yes",
                "origin": "dealt",
            }
            for split, size in SIZES.items()
            for source in SOURCES
            for number in range(size)
        ]
        utterances = [row["utterance"] for row in rows[language]]
        manifest += [{**row, "path": f"{row['utterance']}.wav", "text": row["sentence"]} for row in rows[language]]
        write_table(folder / "splits" / f"{language}.tsv", SPLIT_COLUMNS, rows[language])
        facts = [{"utterance": utterance, "digest": f"d-{utterance}", **_facts(rng)} for utterance in utterances]
        write_table(folder / "waves" / f"{language}.tsv", ["utterance", "digest", *METADATA], facts)
        records = [
            ({"utterance": utterance, "variant": variant, "split": utterance.split("-")[2]}, _lfcc(rng))
            for utterance in utterances
            for variant in ("clean", "noise")
        ]
        write_store(folder / "features" / f"{language}.npy", ["utterance", "variant", "split"], records)
    write_table(folder / "manifest.tsv", MANIFEST_COLUMNS, manifest)
    return RandomCorpus(folder, rows)


def _facts(rng: np.random.Generator) -> dict[str, float | int]:
    rms = -25 + 3 * rng.standard_normal()
    return {
        "rms": rms,
        "peak": rms + 15 + rng.standard_normal(),
        "dc": 1e-4 * rng.standard_normal(),
        "silence": 0.2 * rng.random(),
        "duration": 2 + 3 * rng.random(),
        "sample_rate": int(rng.choice([22050, 24000])),
        "channels": 1,
        "bandwidth": 3000 + 500 * rng.standard_normal(),
    }


def _lfcc(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(SHAPE).astype(np.float32)
