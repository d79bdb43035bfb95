"""Whether the tests of differences keep their word, and what they take: `python -m benchmarks.significance`.

Draws two systems whose errors depend on speakers, sentences and seeds, and counts how often they are told apart at 5 %:
where they do not differ, and where they do. Then times `srctrace compare` at the sizes of the default run and of the
paper, on made-up scores. Writes `benchmarks/results/significance.md`.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srctrace import grid, provenance
from srctrace.metrics import Scores, evaluate
from srctrace.protocol import COLUMNS as SPLIT_COLUMNS
from srctrace.significance import FACTORS, Sample, count, difference, draw_weights, drawn_macro_f1, number_clusters
from srctrace.tables import write_table

ROOT = Path(__file__).parents[1]
RUNS = 1000
REPLICATES = 300
SOURCES = ("a", "b", "c", "d")
VARIANTS = ("clean", "noise", "music", "babble", "reverb")
SIZES = {"default": (3, 3, 10, 10), "paper": (11, 3, 30, 14)}  # systems, seeds, speakers, sentences


@dataclass(frozen=True)
class World:
    """What the log-odds of a right answer depend on: standard deviations.

    `speaker` and `sentence` are shared by both systems; `own_speaker` and `own_sentence` are each system's; `trial` is
    each system's, the same for its seeds; `seed` is one model's.
    """

    speaker: float = 0.0
    sentence: float = 0.0
    own_speaker: float = 0.0
    own_sentence: float = 0.0
    trial: float = 0.0
    seed: float = 0.0


WORLDS = {
    "nothing": World(),
    "all a little": World(0.8, 0.4, 0.5, 0.3, 0.5, 0.2),
    "speakers": World(0.8, 0.1, 0.9, 0.1, 0.3, 0.1),
    "sentences": World(0.3, 0.8, 0.1, 0.9, 0.3, 0.1),
    "seeds": World(0.5, 0.2, 0.1, 0.1, 0.3, 0.5),
}
DESIGNS = ((3, 8), (6, 8), (12, 8), (24, 3), (3, -8), (10, -3))
"""Speakers; and sentences, below 0 where each speaker has other ones, as in the built-in corpus."""
GAP = 0.8  # of log-odds, where systems differ: 0.69 to 0.83 of answers right, were nothing else to matter


def main() -> None:
    machine = provenance.machine()
    lines = ["# Tests of differences between systems", ""]
    lines += [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}. By `benchmarks/significance.py`."
    ]
    lines += [
        "",
        f"How often, in % of {RUNS} drawn test sets, two systems are told apart at 5 %: where they do not differ, and,"
        " in brackets, where one has 0.8 more log-odds of a right answer. A speaker says each sentence once in"
        " each of four sources; what the answers depend on is in `WORLDS`.",
        "",
        "| answers depend on | seeds | " + " | ".join(map(_design, DESIGNS)) + " |",
        "| --- | ---: |" + " ---: |" * len(DESIGNS),
    ]
    for name, seeds in product(WORLDS, (3, 5)):
        cells = []
        for speakers, sentences in tqdm(DESIGNS, desc=f"{name}, {seeds} seeds"):
            null, found = (
                rejected(WORLDS[name], speakers, sentences, seeds, gap, runs)
                for gap, runs in ((0.0, RUNS), (GAP, RUNS // 4))
            )
            cells.append(f"{100 * null:.1f} ({100 * found:.0f})")
        lines.append(f"| {name} | {seeds} | {' | '.join(cells)} |")
    lines += ["", "`srctrace compare`, 10 000 replicates, one thread, reading the scores included:", ""]
    lines += ["| size | systems | seeds | cells | trials a cell | s | MiB |", "| --- |" + " ---: |" * 6]
    for name, (systems, seeds, speakers, sentences) in SIZES.items():
        seconds, mebibytes, trials = measure(systems, seeds, speakers, sentences)
        lines.append(f"| {name} | {systems} | {seeds} | 36 | {trials} | {seconds:.0f} | {mebibytes:.0f} |")
    (ROOT / "benchmarks" / "results" / "significance.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def rejected(world: World, speakers: int, sentences: int, seeds: int, gap: float, runs: int) -> float:
    """Share of drawn test sets on which two systems are told apart whose log-odds differ by `gap`."""
    rng = np.random.default_rng([speakers, abs(sentences), sentences < 0, seeds, round(100 * gap)])
    return float(np.mean([_p(world, speakers, sentences, seeds, gap, run, rng) < 0.05 for run in range(runs)]))


def _p(
    world: World, speakers: int, sentences: int, seeds: int, gap: float, run: int, rng: np.random.Generator
) -> float:
    trials = list(product(range(speakers), range(abs(sentences)), range(len(SOURCES))))
    speaker, sentence, label = np.array(trials).T
    if sentences < 0:
        sentence += speaker * -sentences
    rows = [
        {"utterance": f"u{index}", "speaker": f"{run}-{of[0]}", "sentence": f"{run}-{of[1]}", "language": "en"}
        for index, of in enumerate(zip(speaker, sentence, strict=True))
    ]
    shared = world.speaker * rng.standard_normal(speakers)[speaker]
    shared += world.sentence * rng.standard_normal(sentence.max() + 1)[sentence]
    numbered = number_clusters(rows)
    weights = [
        draw_weights(factor, names, range(REPLICATES)) for factor, (names, _) in zip(FACTORS, numbered, strict=True)
    ]
    samples = []
    for level in (gap, 0.0):
        odds = 0.8 + level + shared + world.own_speaker * rng.standard_normal(speakers)[speaker]
        odds += world.own_sentence * rng.standard_normal(sentence.max() + 1)[sentence]
        odds += world.trial * rng.standard_normal(len(trials))
        values, replicates = [], np.zeros((len(FACTORS), REPLICATES))
        for _ in range(seeds):
            right = rng.random(len(trials)) < 1 / (1 + np.exp(-odds - world.seed * rng.standard_normal()))
            guess = np.where(right, label, (label + rng.integers(1, len(SOURCES), len(trials))) % len(SOURCES))
            scores = Scores.of(
                (row["utterance"], row["speaker"], "clean", SOURCES[own], SOURCES[said])
                for row, own, said in zip(rows, label, guess, strict=True)
            )
            values.append(evaluate(scores.label, scores.predicted, SOURCES).macro_f1)
            for at, (_, cluster) in enumerate(numbered):
                replicates[at] += drawn_macro_f1(count(scores, SOURCES, cluster), weights[at]) / seeds
        samples.append(Sample(np.array(values), replicates))
    return difference(*samples, {factor: len(names) for factor, (names, _) in zip(FACTORS, numbered, strict=True)})["p"]


def measure(systems: int, seeds: int, speakers: int, sentences: int) -> tuple[float, float, int]:
    """Seconds and MiB of `srctrace compare`, and trials a cell; every source has a quarter of the utterances."""
    languages = [f"l{number}" for number in range(6)]
    config = {"corpus": {"name": "made-up", "languages": languages}, "protocols": ["mono"], "seeds": list(range(seeds))}
    config["systems"] = [f"system{number}" for number in range(systems)]
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(config))
        for test in languages:
            rows = [
                dict.fromkeys(SPLIT_COLUMNS, "")
                | {"split": "eval", "utterance": f"{test}-{source}-{speaker}-{sentence}", "language": test}
                | {"source": source, "speaker": f"s{speaker}", "sentence": f"t{sentence}", "origin": "given"}
                for source, speaker, sentence in product(SOURCES, range(speakers), range(sentences))
            ][::4]
            write_table(folder / "splits" / f"{test}.tsv", SPLIT_COLUMNS, rows)
            for system, train, seed in product(config["systems"], languages, config["seeds"]):
                scores = folder / "models" / grid.Model(system, train, seed).folder / "scores" / f"{test}.tsv"
                write_table(scores, [*("utterance", "variant", "label", "predicted"), *_columns()], _scored(rows, rng))
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "srctrace",
            "compare",
            "--config",
            folder / "config.json",
            "--protocol",
            "mono",
        ]
        subprocess.run([*command, "--results", folder, "--out", folder / "differences.tsv"], check=True)
        seconds = time.monotonic() - began
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, len(rows) * len(VARIANTS)


def _design(design: tuple[int, int]) -> str:
    speakers, sentences = design
    return f"{speakers} speakers, {abs(sentences)} sentences{' each' if sentences < 0 else ''}"


def _columns() -> list[str]:
    return [f"p_{source}" for source in SOURCES]


def _scored(rows: list[dict], rng: np.random.Generator) -> list[dict]:
    scored = []
    for row, variant in product(rows, VARIANTS):
        predicted = row["source"] if rng.random() < 0.8 else SOURCES[rng.integers(4)]
        probabilities = {f"p_{source}": float(source == predicted) for source in SOURCES}
        scored.append(
            {"utterance": row["utterance"], "variant": variant, "label": row["source"], "predicted": predicted}
            | probabilities
        )
    return scored


if __name__ == "__main__":
    main()
