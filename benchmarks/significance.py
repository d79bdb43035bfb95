"""Whether the tests of differences keep their word, and what they take: `python -m benchmarks.significance`.

Draws systems whose macro-F1 has known parts (speakers, speakers by system, seeds) and counts how often two that do not
differ are told apart at 5 %, and two that differ. Then times `srctrace compare` at the paper's size, on made-up scores.
Writes `benchmarks/results/significance.md`.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srctrace import grid, provenance
from srctrace.protocol import COLUMNS as SPLIT_COLUMNS
from srctrace.significance import Sample, difference
from srctrace.tables import write_table

ROOT = Path(__file__).parents[1]
TRIALS = 4000
SHARED, OWN, SEED = 0.05, 0.03, 0.02  # deviations: of speakers, of speakers by system, of seeds
SYSTEMS, SEEDS, SPEAKERS, SENTENCES = 11, 3, 30, 14
SOURCES = ("a", "b", "c", "d")
VARIANTS = ("clean", "noise", "music", "babble", "reverb")


def main() -> None:
    machine = provenance.machine()
    lines = ["# Tests of differences between systems", ""]
    lines += [f"{machine['processor']}, {machine['cores']} cores. By `benchmarks/significance.py`.", ""]
    lines += [
        f"How often of {TRIALS} times two systems are told apart at 5 %. Deviations in points: of speakers, shared by"
        f" both systems, {100 * SHARED:.0f}; of speakers by system {100 * OWN:.0f}; of seeds {100 * SEED:.0f}.",
        "",
        "| seeds | speakers | no difference | 3 points | 6 points |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for seeds, speakers in product((3, 5), (3, 6, 12, 30)):
        rates = [rejected(seeds, speakers, gap) for gap in (0.0, 0.03, 0.06)]
        lines.append(f"| {seeds} | {speakers} | " + " | ".join(f"{100 * rate:.1f} %" for rate in rates) + " |")
    seconds, mebibytes, trials = paper_size()
    lines += [
        "",
        f"`srctrace compare` on {SYSTEMS} systems, {SEEDS} seeds, 36 cells of {trials} trials each, 10 000 replicates:"
        f" {seconds:.0f} s and {mebibytes:.0f} MiB on one thread, reading the scores included.",
    ]
    (ROOT / "benchmarks" / "results" / "significance.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def rejected(seeds: int, speakers: int, gap: float) -> float:
    """Share of pairs that are told apart where they differ by `gap`."""
    rng = np.random.default_rng([seeds, speakers, round(100 * gap)])
    count = 0
    for _ in tqdm(range(TRIALS), desc=f"{seeds} seeds, {speakers} speakers, {100 * gap:.0f} points", leave=False):
        weights = rng.standard_exponential((speakers, 300))
        weights /= weights.sum(axis=0)
        shared = rng.normal(0, SHARED, speakers)
        samples = []
        for level in (gap, 0.0):
            own = level + shared + rng.normal(0, OWN, speakers) + rng.normal(0, SEED, (seeds, 1))
            samples.append(Sample(own.mean(axis=1), own @ weights))
        count += difference(*samples, speakers)["p"] < 0.05
    return count / TRIALS


def paper_size() -> tuple[float, float, int]:
    """Seconds and MiB of `srctrace compare`, and trials a cell."""
    languages = [f"l{number}" for number in range(6)]
    config = {"corpus": {"name": "made-up", "languages": languages}, "protocols": ["mono"], "seeds": list(range(SEEDS))}
    config["systems"] = [f"system{number}" for number in range(SYSTEMS)]
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(config))
        for test in languages:
            rows = [
                dict.fromkeys(SPLIT_COLUMNS, "")
                | {"split": "eval", "utterance": f"{test}-{source}-{speaker}-{sentence}", "language": test}
                | {"source": source, "speaker": f"s{speaker}", "sentence": f"t{sentence}", "origin": "given"}
                for source, speaker, sentence in product(SOURCES, range(SPEAKERS), range(SENTENCES))
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
