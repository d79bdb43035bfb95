"""Made-up tables of a run, of any size, for the report's tests."""

import json
import random
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

from srctrace import grid
from srctrace.metrics import CLASSES_COLUMNS, CONFUSION_COLUMNS, METRICS_COLUMNS, SUMMARY_COLUMNS
from srctrace.report.inputs import FINDINGS, HISTORY, SPLIT, ReportInputs
from srctrace.tables import write_table
from tests.report import made_up_findings

LANGUAGES = ("en", "de", "fr", "it", "pl", "ru")
SYSTEMS = ("lfcc-resnet18", "lfcc-ecapa-tdnn", "lfcc-aasist")
VARIANTS = ("clean", "noise", "music", "babble", "reverb")
SOURCES = ("formant", "klatt1", "klatt2", "klatt5")
COSTS = {"clean": 0.0, "noise": 0.10, "music": 0.08, "babble": 0.05, "reverb": 0.14, "all": 0.07}
SMALL_CELL = {"corpus": "built", "n_trials": "40", "accuracy": "0.5", "balanced_accuracy": "0.5"}


@dataclass(frozen=True)
class Size:
    """How large the run is, and what is odd about it."""

    systems: tuple[str, ...] = SYSTEMS
    conditions: tuple[str, ...] = LANGUAGES
    variants: tuple[str, ...] = VARIANTS
    sources: tuple[str, ...] = SOURCES
    seeds: tuple[int, ...] = (1,)
    protocols: tuple[str, ...] = ("mono",)
    missing: frozenset[tuple[str, str]] = frozenset()  # (train, test) pairs without results
    corpus_type: str = "builtin"
    corpus: str = "built"
    families: tuple[tuple[str, tuple[str, ...]], ...] = ()
    histories: bool = True


def write_run(folder: Path, size: Size | None = None) -> ReportInputs:
    """Write the tables of a run into `folder`; the same every time."""
    size = size or Size()
    chance = random.Random(7)
    metrics, classes, confusion = [], [], []
    for cell, system, seed in product(grid.cells(_config(size)), size.systems, size.seeds):
        train, test = cell.train.name, cell.test.name
        if (train, test) in size.missing:
            continue
        level = 0.96 - 0.012 * size.systems.index(system) - (train != test) * chance.uniform(0.05, 0.4)
        for variant in ("all", *size.variants):
            name = {"corpus": size.corpus, "protocol": cell.protocol, "system": system, "seed": seed}
            name |= {"train": train, "test": test, "variant": variant}
            _add_cell(name, max(0.0, level - COSTS[variant]), size.sources, chance, metrics, classes, confusion)
    write_table(folder / "metrics.tsv", METRICS_COLUMNS, metrics)
    write_table(folder / "classes.tsv", CLASSES_COLUMNS, classes)
    write_table(folder / "confusion.tsv", CONFUSION_COLUMNS, confusion)
    write_table(folder / "summary.tsv", SUMMARY_COLUMNS, _summary(metrics))
    (folder / "config.json").write_text(json.dumps(_config(size)))
    manifest, splits = _corpus(folder, size, chance)
    return ReportInputs(
        metrics=folder / "metrics.tsv",
        classes=folder / "classes.tsv",
        confusion=folder / "confusion.tsv",
        summary=folder / "summary.tsv",
        config=folder / "config.json",
        manifest=manifest,
        histories=_histories(folder, size, chance) if size.histories else (),
        baselines=[_baselines(folder, protocol, size, chance) for protocol in grid.tested_protocols(_config(size))],
        findings=[_findings(folder, protocol) for protocol in grid.tested_protocols(_config(size))],
        splits=splits,
        checkpoints=_checkpoints(folder, size),
        benchmarks=_benchmarks(folder),
        examples=made_up_findings.write_examples(folder, _config(size)),
        projection=made_up_findings.write_projection(folder, _config(size)),
        **made_up_findings.write_calibration(folder, _config(size)),
        **(made_up_findings.write_open_set(folder, _config(size)) if grid.OUT_OF_SET in size.protocols else {}),
    )


def _checkpoints(folder: Path, size: Size) -> list[Path]:
    paths = []
    for frontend in grid.ssl_frontends(_config(size)).values():
        path = folder / "checkpoints" / f"{frontend.name}.json"
        path.parent.mkdir(exist_ok=True)
        known = {"checkpoint": frontend.checkpoint, "revision": frontend.revision, "architecture": "wav2vec2"}
        path.write_text(json.dumps(known | {"n_layers": 24, "hidden_size": 1024, "licence": "apache-2.0"}))
        paths.append(path)
    return paths


def _add_cell(name, rate, sources, chance, metrics, classes, confusion) -> None:
    trials = 40 * (5 if name["variant"] == "all" else 1)
    hits = []
    for index, source in enumerate(sources):
        counts = [0] * len(sources)
        for _ in range(trials):
            right = chance.random() < min(1.0, rate + 0.03 * (index == 0))
            counts[index if right or len(sources) == 1 else chance.choice([*range(len(sources))])] += 1
        hits.append(counts[index])
        confusion += [
            {**name, "label": source, "predicted": other, "n": n} for other, n in zip(sources, counts, strict=True)
        ]
        recall = counts[index] / trials
        scores = {"n_trials": trials, "precision": recall * 0.98, "recall": recall, "f1": recall * 0.99}
        classes.append({**name, "source": source, **scores})
    accuracy = sum(hits) / (trials * len(sources))
    value = accuracy * 0.99
    metrics.append(
        {
            **name,
            "n_trials": trials * len(sources),
            "macro_f1": value,
            "macro_f1_low": max(0.0, value - 0.05),
            "macro_f1_high": min(1.0, value + 0.04),
            "accuracy": accuracy,
            "balanced_accuracy": accuracy,
        }
    )


def _summary(metrics) -> list[dict]:
    key = ("corpus", "protocol", "system", "train", "test", "variant")
    cells: dict[tuple, list[float]] = {}
    for row in metrics:
        cells.setdefault(tuple(row[column] for column in key), []).append(row["macro_f1"])
    return [
        {
            **dict(zip(key, name, strict=True)),
            "n_seeds": len(values),
            "macro_f1_mean": fmean(values),
            "macro_f1_sd": stdev(values) if len(values) > 1 else "",
        }
        for name, values in cells.items()
    ]


def _config(size: Size) -> dict:
    return {
        "corpus": {
            "name": size.corpus,
            "type": size.corpus_type,
            "languages": list(size.conditions),
            "sources": list(size.sources),
            "out_of_set": ["klatt4", "world"],
        },
        "builtin": {"speakers": 12, "seed": 0},
        "protocols": list(size.protocols),
        "families": {name: list(languages) for name, languages in size.families},
        "speakers": {"across_languages": True},
        "protocol_seed": 0,
        "seconds": 4.0,
        "variants": list(size.variants),
        "lfcc": {"n_fft": 320, "n_lfcc": 80},
        "ssl": {"mode": "fine-tuned", "layers": "last", "recipe": "ours"},
        "frontends": {},
        "recipes": {"ours": {"batch_size": 16, "ssl_lr": 2e-5}, "published": {"ssl_lr": 5e-4}},
        "systems": list(size.systems),
        "seeds": list(size.seeds),
        "backends": {"resnet18": {"width": 16}, "ecapa-tdnn": {"channels": 64, "mfa_channels": 192}},
        "train": {
            "epochs": 12,
            "batch_size": 32,
            "lr": 0.001,
            "weight_decay": 0.0001,
            "schedule": "cosine",
            "mixup": 0.0,
            "select": "macro_f1",
            "crop_seconds": 2.0,
            "variants": ["clean", "noise"],
        },
    }


def _corpus(folder: Path, size: Size, chance: random.Random) -> tuple[Path, list[Path]]:
    rows = [
        {
            "utterance": f"{language}-{source}-{index}",
            "path": f"{language}/{index}.wav",
            "language": language,
            "source": source,
            "speaker": f"s{index % 12:02d}",
            "text": f"t{index % 8}",
            "sentence": f"t{index % 8}",
            "split": chance.choice(["train", "train", "dev", "eval"]),
            "seen_speaker": "yes" if index % 12 < 8 else "no",
        }
        for language in size.conditions
        for source in size.sources
        for index in range(48)
    ]
    columns = ("utterance", "path", "language", "source", "speaker", "text", "sentence", "split")
    unknown = [{**row, "utterance": f"{row['utterance']}-world", "source": "world"} for row in rows[:8]]
    write_table(folder / "manifest.tsv", columns, [*rows, *unknown])
    paths = []
    for condition in grid.conditions(_config(size)).values():
        path = folder / "built" / "splits" / f"{condition.name}.tsv"
        listed = [row for row in rows if row["language"] in condition.languages]
        if condition.unknown:
            listed += [{**row, "split": "eval-unknown"} for row in unknown if row["language"] in condition.languages]
        write_table(path, (*SPLIT, "sentence"), listed)
        paths.append(path)
    return folder / "manifest.tsv", paths


def _histories(folder: Path, size: Size, chance: random.Random) -> list[Path]:
    paths = []
    for model in grid.models(_config(size)):
        path = folder / "built" / "models" / model.folder / "history.tsv"
        rows = [
            {
                "epoch": epoch,
                "train_loss": 1.4 * 0.75**epoch + chance.uniform(0, 0.05),
                "dev_loss": 1.5 * 0.8**epoch + chance.uniform(0, 0.2),
                "dev_macro_f1": min(1.0, 0.97 - 0.7 * 0.7**epoch + chance.uniform(-0.03, 0.03)),
                "lr": 0.001,
                "seconds": 3.0,
            }
            for epoch in range(1, 13)
        ]
        write_table(path, (*HISTORY, "lr", "seconds"), rows)
        paths.append(path)
    return paths


def _baselines(folder: Path, protocol: str, size: Size, chance: random.Random) -> Path:
    rows = []
    for system, level in (("lfcc-statistics", 0.62), ("metadata", 0.3)):
        for cell in grid.cells(_config(size) | {"protocols": [protocol]}):
            train, test = cell.train.name, cell.test.name
            name = {"corpus": size.corpus, "protocol": protocol, "system": system, "seed": 0}
            name |= {"train": train, "test": test, "variant": "clean"}
            rate = level - (train != test) * chance.uniform(0, 0.2)
            _add_cell(name, rate, size.sources, chance, rows, [], [])
    path = folder / "built" / "audit" / protocol / "baselines.tsv"
    write_table(path, METRICS_COLUMNS, rows)
    return path


def _findings(folder: Path, protocol: str) -> Path:
    path = folder / "built" / "audit" / protocol / "findings.tsv"
    rows = [
        {"check": "duplicates", "level": "ok", "finding": "No audio is in two splits."},
        {"check": "level", "level": "note", "finding": "RMS differs by 0.4 dB between sources."},
        {"check": "bandwidth", "level": "warning", "finding": "klatt5 has 1.2 kHz less bandwidth than the others."},
    ]
    write_table(path, FINDINGS, rows)
    return path


def _benchmarks(folder: Path) -> Path:
    columns = ("s", "h:m:s", "max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out", "mean_load", "cpu_time")
    for rule, seconds in (("train", 42.5), ("score", 3.25), ("extract", 7.0)):
        for part in ("en", "de"):
            row = {**dict.fromkeys(columns, "0.0"), "s": seconds, "h:m:s": "0:00:42", "max_rss": 611.5}
            write_table(folder / "benchmarks" / rule / f"{part}.tsv", columns, [row])
    write_table(
        folder / "benchmarks" / "scan" / "all.tsv", columns, [{**dict.fromkeys(columns, "-"), "s": 0.5, "max_rss": "-"}]
    )
    return folder / "benchmarks"
