"""Made-up tables of unknown sources, calibration and few shots, and made-up examples and embeddings."""

import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from srctrace import grid
from srctrace.calibration import CALIBRATION_COLUMNS, RELIABILITY_COLUMNS
from srctrace.fewshot import COLUMNS as FEWSHOT_COLUMNS
from srctrace.openset.table import DETECTION_COLUMNS, OPENSET_COLUMNS
from srctrace.report.projection import COLOURINGS
from srctrace.report.sound import audio_address, spectrogram_address
from srctrace.tables import write_table

METHODS = ("softmax", "mahalanobis++", "knn", "chosen")
UNKNOWN = ("klatt4", "world", "all")
SCORES, WHEN = ("nll", "brier", "ece"), ("before", "after")


def write_open_set(folder: Path, config: dict) -> dict[str, Path]:
    """Tables of unknown sources: trained on each language, tested on each."""
    chance = random.Random(11)
    corpus = {"corpus": config["corpus"]["name"]}
    openset, detection, fewshot = [], [], []
    models = product(config["systems"], config["seeds"], *[config["corpus"]["languages"]] * 2)
    for system, seed, train, test in models:
        cell = corpus | {"system": system, "seed": seed, "train": train, "test": test}
        level = 0.93 - 0.2 * (train != test)
        for method, unknown in product(METHODS, UNKNOWN):
            auroc = min(1.0, level - 0.05 * METHODS.index(method) + chance.uniform(0, 0.05))
            row = dict.fromkeys(OPENSET_COLUMNS, 1 - auroc) | {"auroc": auroc, "open_accuracy": auroc - 0.1}
            row |= {"auroc_low": auroc - 0.03, "auroc_high": min(1.0, auroc + 0.03)}
            openset.append(
                row | cell | {"protocol": grid.OUT_OF_SET, "variant": "clean", "method": method, "unknown": unknown}
            )
            for step in range(11 * (method != "chosen")):
                errors = {"false_acceptance": (step / 10) ** 2, "false_rejection": (1 - level) * (1 - step / 10)}
                detection.append(cell | {"method": method, "unknown": unknown} | errors)
        for shots, unknown in product((1, 5, 10), UNKNOWN[:2]):
            rates = dict.fromkeys(FEWSHOT_COLUMNS, level - 0.3 / shots)
            fewshot.append(rates | cell | {"unknown": unknown, "shots": shots})
    return {
        "openset": _write(folder / "openset.tsv", OPENSET_COLUMNS, openset),
        "detection": _write(folder / "detection.tsv", DETECTION_COLUMNS, detection),
        "fewshot": _write(folder / "fewshot.tsv", FEWSHOT_COLUMNS, fewshot),
    }


def write_calibration(folder: Path, config: dict) -> dict[str, Path]:
    """Tables of calibration of every tested cell."""
    calibration, reliability = [], []
    for cell, system, seed in product(grid.cells(config), config["systems"], config["seeds"]):
        name = {"corpus": config["corpus"]["name"], "protocol": cell.protocol, "system": system, "seed": seed}
        name |= {"train": cell.train.name, "test": cell.test.name, "variant": "all"}
        gap = 0.05 + 0.15 * (cell.train != cell.test)
        scores = {f"{score}_{when}": gap / (1 + (when == "after")) for score, when in product(SCORES, WHEN)}
        calibration.append(name | {"temperature": 1.7, "n_trials": 160} | scores)
        for when, place in product(WHEN, range(10)):
            confidence = (place + 0.5) / 10
            accuracy = max(0.0, confidence - scores[f"ece_{when}"])
            counts = {"stage": when, "bin": place + 1, "n": place, "confidence": confidence, "accuracy": accuracy}
            reliability.append(name | counts)
    return {
        "calibration": _write(folder / "calibration.tsv", CALIBRATION_COLUMNS, calibration),
        "reliability": _write(folder / "reliability.tsv", RELIABILITY_COLUMNS, reliability),
    }


def write_examples(folder: Path, config: dict) -> Path:
    """Two wrong trials of every cell, of three utterances in all."""
    seconds = np.arange(16000) / 16000
    sources = config["corpus"]["sources"]
    sounds = {}
    for place, name in enumerate(("one", "two", "three & more")):
        tone = (9000 * np.sin(2 * np.pi * 440 * (place + 1) * seconds)).astype(np.int16)
        sounds[name] = {"language": config["corpus"]["languages"][0], "source": sources[0], "speaker": f"s{place}"}
        sounds[name] |= {"audio": audio_address(tone), "spectrogram": spectrogram_address(tone)}
    cells = [
        {
            **{"protocol": cell.protocol, "system": system, "train": cell.train.name, "test": cell.test.name},
            **{"seed": config["seeds"][0], "n_trials": 40, "n_wrong": 7},
            "wrong": [
                {"utterance": name, "predicted": sources[-1], "probability": 0.75}
                for name in [*sounds][place % 2 : place % 2 + 2]
            ],
        }
        for place, (cell, system) in enumerate(product(grid.cells(config), config["systems"]))
    ]
    path = folder / "examples.json"
    path.write_text(json.dumps({"cells": cells, "sounds": sounds}))
    return path


def write_projection(folder: Path, config: dict) -> Path:
    """A map of 60 points for each system."""
    chance = random.Random(5)
    corpus = config["corpus"]
    models = []
    for system in config["systems"]:
        points = [
            {
                "source": chance.choice(corpus["sources"]),
                "language": chance.choice(corpus["languages"]),
                "speaker": f"s{chance.randrange(12):02d}",
                **{"known": chance.random() < 0.8, "x": chance.random(), "y": chance.random()},
            }
            for _ in range(60)
        ]
        measures = [
            {"by": by, "groups": 3, "points": 60, "purity": 0.9, "chance": 0.3, "silhouette": 0.25} for by in COLOURINGS
        ]
        model = {"system": system, "train": next(iter(grid.tests(config))), "seed": config["seeds"][0]}
        models.append(model | {"points": points, "measures": measures})
    path = folder / "projection.json"
    path.write_text(json.dumps({"models": models}))
    return path


def _write(path: Path, columns: Sequence[str], rows: list[dict]) -> Path:
    write_table(path, columns, rows)
    return path
