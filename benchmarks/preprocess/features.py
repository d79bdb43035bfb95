"""LFCC alone: by instruction set and batch size, and where its time goes."""

import shutil
import subprocess
import sys
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import torch

from benchmarks.oracle import torchaudio_lfcc
from benchmarks.preprocess import rivals
from benchmarks.preprocess.timing import Times, race, table
from benchmarks.preprocess.work import BATCH, FEW, OPTIONS, SAMPLES, Work, itself, modulated_noise
from srctrace import _C
from srctrace.frontends.lfcc import LfccOptions, lfcc

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


def by_instruction_set(quick: bool) -> list[str]:
    lines = ["", "## LFCC alone", ""]
    lines += ["The best of torchaudio's ways in the same run is what the ratio is taken against."]
    for simd in _C.instruction_sets():
        for name, rounds in itself("lfcc", quick, {"SRCTRACE_SIMD": simd})["times"].items():
            times = {rival: Times(np.array(seconds)) for rival, seconds in rounds.items()}
            best = min((rival for rival in times if rival.startswith("torchaudio")), key=lambda r: times[r].median)
            lines += ["", f"### {name}, {simd}", "", *table(times, best)]
    return lines


def lfcc_alone(rounds: int) -> dict:
    """Seconds of every round, by options and rival, with the instruction set of this process."""
    random = np.random.default_rng(0)
    int16 = np.stack([modulated_noise(random, SAMPLES) for _ in range(BATCH)])
    float32 = int16.astype(np.float32) / np.float32(32768)
    tensor = torch.from_numpy(float32)
    results = {}
    for name, options in OPTIONS.items():
        transform, with_scipy = torchaudio_lfcc(options), rivals.ScipyLfcc(options)
        out = np.empty((BATCH, options.n_lfcc, options.frames(SAMPLES)), np.float32)
        times = race(
            {
                "torchaudio, one at a time": lambda t=transform: [t(wave) for wave in tensor],
                "torchaudio, batch 32": lambda t=transform: t(tensor),
                "NumPy and SciPy, batch 32": lambda s=with_scipy: s(float32),
                "librosa and SciPy": lambda s=with_scipy: rivals.librosa_lfcc(float32, s),
                "kaldi-native-fbank (80 mel bands, no cepstrum)": lambda o=options: (
                    rivals.kaldi_fbank(float32[:FEW], o) * 8
                ),
                "srctrace, int16, batch 32": lambda o=options, out=out: lfcc(int16, o, out=out),
                "srctrace, float32, batch 32": lambda o=options, out=out: lfcc(float32, o, out=out),
                "srctrace, int16, one at a time": lambda o=options: [lfcc(wave[None], o) for wave in int16],
            },
            BATCH,
            rounds,
            f"LFCC {name}",
        )
        kaldi = times["kaldi-native-fbank (80 mel bands, no cepstrum)"].seconds
        kaldi *= BATCH / FEW  # it is slow: a few will do
        results[name] = {rival: measured.seconds.tolist() for rival, measured in times.items()}
    return {"instruction set": _C.instruction_set(), "times": results}


def batch_scaling(work: Work, rounds: int) -> list[str]:
    options = LfccOptions()
    transform = torchaudio_lfcc(options)
    waves = np.concatenate([work.int16] * (max(BATCHES) // BATCH))
    tensor = torch.from_numpy(np.concatenate([work.float32] * (max(BATCHES) // BATCH)))
    ours, theirs = [], []
    for batch in BATCHES:
        out = np.empty((batch, options.n_lfcc, options.frames(SAMPLES)), np.float32)
        times = race(
            {
                "torchaudio": lambda b=batch: transform(tensor[:b]),
                "srctrace": lambda b=batch, out=out: lfcc(waves[:b], options, out=out),
            },
            batch,
            max(3, rounds // 2),
            f"batch {batch}",
        )
        ours.append(1 / times["srctrace"].median)
        theirs.append(1 / times["torchaudio"].median)
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    axes.loglog(BATCHES, ours, "o-", base=2, label=f"srctrace ({_C.instruction_set()})")
    axes.loglog(BATCHES, theirs, "s-", base=2, label="torchaudio")
    axes.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
    axes.set_xlabel("utterances in a call")
    axes.set_yscale("log")
    axes.set_ylabel("utterances a second, one thread")
    axes.set_title("LFCC of 4 s at 16 kHz")
    axes.legend()
    figure.savefig(work.results / "batch.svg", metadata={"Date": None})
    lines = ["", "## Batch size: LFCC, utterances a second", "", "![throughput against batch size](batch.svg)", ""]
    lines += ["| batch | torchaudio | srctrace | ratio |", "| ---: | ---: | ---: | ---: |"]
    for batch, a, b in zip(BATCHES, theirs, ours, strict=True):
        lines.append(f"| {batch} | {a:.0f} | {b:.0f} | {b / a:.1f} |")
    return lines


def inside_lfcc() -> list[str]:
    """Shares of the parts of an LFCC, from where a profiler finds the processor."""
    lines = ["", "### Within an LFCC", ""]
    if shutil.which("perf") is None:
        return [*lines, "Not measured: Linux perf is not there."]
    names = {
        "TransposeSamples": "loading: samples of neighbouring frames side by side",
        "TransposeEdge": "loading at the ends of an utterance",
        "TileEnergies": "window, Fourier transform, power",
        "LogEnergies": "filters and logarithms",
        "CosineTransform": "cosine transform, storing",
    }
    loop = (
        "import numpy as n; from srctrace.frontends.lfcc import *; o = LfccOptions({})\n"
        "w = n.random.default_rng(0).integers(-9000, 9000, (32, 64000)).astype(n.int16)\n"
        "out = n.empty((32, 80, o.frames(64000)), n.float32)\n"
        "for _ in range(400): lfcc(w, o, out=out)"
    )
    shares: dict[str, list[float]] = {part: [] for part in names}
    for arguments in ("", "n_fft=512, win_length=400, center=True"):
        with tempfile.NamedTemporaryFile() as data:
            record = [
                "perf",
                "record",
                "-q",
                "-F",
                "5000",
                "-o",
                data.name,
                sys.executable,
                "-c",
                loop.format(arguments),
            ]
            report = ["perf", "report", "-i", data.name, "--stdio", "--no-children", "-F", "overhead,symbol"]
            if subprocess.run(record, capture_output=True, check=False).returncode:
                return [*lines, "Not measured: perf may not be used here."]
            text = subprocess.run(report, capture_output=True, text=True, check=True).stdout
        found = dict.fromkeys(names, 0.0)
        for line in text.splitlines():
            for part in names:
                if f"::{part}" in line or f" {part}" in line:
                    found[part] += float(line.split("%")[0])
                    break
        for part, share in found.items():
            shares[part].append(share / sum(found.values()))
    lines += [f"| part | {' | '.join(OPTIONS)} |", "| --- | ---: | ---: |"]
    lines += [f"| {names[part]} | {a:.0%} | {b:.0%} |" for part, (a, b) in shares.items()]
    lines += [
        "",
        "No part stands out. Loads and stores of whole vectors bind before arithmetic does: each pass of a transform "
        "reads and writes all of a tile of frames, which with the longest vectors is about as large as the "
        "first-level cache.",
    ]
    return lines
