"""What tracing takes: `python -m benchmarks.trace`. Writes `benchmarks/results/trace.md`.

LFCC-ResNet18 at the paper's sizes, with fresh weights and without a decision. Each number is the median over processes
of their own: from start to end, the time of all cores together, and the most memory.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np
import soundfile

from srctrace import provenance
from srctrace.checkpoint import Description, build, save_checkpoint
from srctrace.frontends.lfcc import LfccOptions
from srctrace.report.runtimes import duration

RUNS = 3
FILES = 1000
SECONDS = 4.0
RATE = 22_050  # Hz: files are resampled
SOURCES = ["a", "b", "c", "d", "e", "f"]


def main() -> None:
    machine = provenance.machine()
    lines = ["# What tracing takes", "", f"On {machine['processor']}, {machine['cores']} cores, by", "", "```"]
    lines += ["python -m benchmarks.trace", "```", ""]
    lines += [f"LFCC-ResNet18 at the paper's sizes; audio at {RATE} Hz, 16 bits. Medians of {RUNS} runs.", ""]
    lines += [
        f"Before the first of them, {os.getloadavg()[0]:.1f} other processes were running: those share the cores.",
        "",
    ]
    lines += ["| audio | time | time of the cores | most memory in MB |", "| --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder) / "model")
        for name, count, seconds in (
            ("1 file of 4 s: start-up, nearly all of it", 1, SECONDS),
            (f"{FILES} files of 4 s", FILES, SECONDS),
            ("1 file of 1 min", 1, 60.0),
            ("1 file of 30 min", 1, 1800.0),
        ):
            audio = make_audio(Path(folder) / f"{count}-{seconds:g}", count, seconds)
            times, cores, memory = map(median, zip(*(trace(audio, model) for _ in range(RUNS)), strict=True))
            lines.append(f"| {name} | {duration(times)} | {duration(cores)} | {memory:.0f} |")
            print(lines[-1], flush=True)
    Path(__file__).with_name("results").joinpath("trace.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_model(folder: Path) -> Path:
    frontend = {"frontend": "lfcc", **asdict(LfccOptions()), "seconds": SECONDS}
    description = Description("lfcc-resnet18", frontend, LfccOptions().n_lfcc, "resnet18", {}, SOURCES, {}, {})
    save_checkpoint(folder, build(description).state_dict(), description)
    return folder


def make_audio(folder: Path, count: int, seconds: float) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.1, round(seconds * RATE)), RATE)
    return folder


def trace(audio: Path, model: Path) -> tuple[float, float, float]:
    """Time and time of the cores in seconds, and most memory in MB, of a process."""
    command: Sequence[object] = [sys.executable, "-m", "srctrace", "trace", audio, "--model", model, "--tsv"]
    start = time.monotonic()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"tracing {audio} failed")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
