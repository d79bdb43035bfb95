"""What mixing and LFCCs take on a GPU: `python -m benchmarks.gpu`, from an activated environment, on an idle machine.

Writes `benchmarks/results/gpu.md`: utterances of 4 s at 16 kHz a second, as medians over runs that are timed by events
on the device, and the share of the device's fp32 peak, by the operations that the definition needs with fast
transforms (`operations`), not by those that the kernels carry out.
"""

import subprocess
import sys
from collections.abc import Callable
from math import log2
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.oracle import torchaudio_lfcc
from benchmarks.preprocess.work import OPTIONS, SAMPLES
from srctrace import gpu, provenance
from srctrace.augment import augment_lfcc, draw, plan_of
from srctrace.bank import Bank
from srctrace.frontends.lfcc import LfccOptions
from srctrace.grid import VARIANTS
from srctrace.rng import generator

ROOT = Path(__file__).parents[1]
BATCH = 2048
CORES_PER_MULTIPROCESSOR = {8: {0: 64}, 9: {0: 128}}  # fp32, by compute capability; otherwise 128


def main() -> None:
    if reason := gpu.why_not():
        sys.exit(f"There is nothing to measure: {reason}.")
    peak = fp32_peak()
    lines = [
        "# Mixing and LFCCs on a GPU",
        "",
        f"{torch.cuda.get_device_name()}, fp32 peak {peak / 1e12:.0f} TFLOP/s at its highest clock; "
        f"{provenance.machine()['system']}. Utterances of 4 s at 16 kHz, {BATCH} at a time, by `benchmarks/gpu.py`.",
        "",
        "| LFCC of resident audio | utterances/s | of fp32 peak | torchaudio, utterances/s | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    floats = torch.rand((BATCH, SAMPLES), device="cuda") - 0.5
    int16 = (floats * 32768).to(torch.int16)
    for name, options in OPTIONS.items():
        transform = torchaudio_lfcc(options).cuda()
        theirs = BATCH / seconds(lambda transform=transform: transform(floats))
        for kind, waves in (("int16", int16), ("float32", floats)):
            ours = BATCH / seconds(lambda waves=waves, options=options: gpu.lfcc(waves, options))
            share = ours * operations(options) / peak
            lines.append(f"| {name}, {kind} | {ours:,.0f} | {share:.0%} | {theirs:,.0f} | {ours / theirs:.1f} |")
    lines += [
        "",
        "Operations of one utterance: "
        + ", ".join(f"{operations(options) / 1e6:.1f} M ({name})" for name, options in OPTIONS.items())
        + ".",
        "",
        "| five variants of resident int16 audio | utterances/s |",
        "| --- | --- |",
    ]
    bank = noise_bank()
    mixes = [[draw(bank, f"utterance {i}", variant, "train", 1) for variant in VARIANTS] for i in range(BATCH)]
    plan = plan_of(mixes, bank, SAMPLES)
    for name, options in OPTIONS.items():

        def augmented(options: LfccOptions = options) -> torch.Tensor:
            return augment_lfcc(int16, plan, bank, options)

        lines.append(f"| {name} | {BATCH / seconds(augmented):,.0f} |")

    pinned = torch.empty((BATCH, SAMPLES), dtype=torch.int16, pin_memory=True)
    pinned.copy_(int16)

    def upload() -> torch.Tensor:
        return int16.copy_(pinned, non_blocking=True)

    copied = pinned.nbytes / seconds(upload)
    both = BATCH / seconds(lambda: gpu.lfcc(upload(), OPTIONS["320/160"]))
    lines += [
        "",
        f"Pinned int16 goes up at {copied / 1e9:.1f} GB/s, which is {copied / 2 / SAMPLES:,.0f} utterances/s; with "
        f"LFCCs (320/160) one after the other on one stream, {both:,.0f} utterances/s.",
    ]
    (ROOT / "benchmarks" / "results" / "gpu.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def seconds(work: Callable[[], object], runs: int = 9) -> float:
    """The median time that `work` keeps the device, of several calls at a time, after a warm-up."""
    for _ in range(3):
        work()
    times = []
    for _ in range(runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(4):
            work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 4000)
    return median(times)


def fp32_peak() -> float:
    """FLOP/s: two for each core and clock."""
    properties = torch.cuda.get_device_properties(0)
    cores = CORES_PER_MULTIPROCESSOR.get(properties.major, {}).get(properties.minor, 128)
    query = ["nvidia-smi", "--id=0", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    megahertz = float(subprocess.run(query, check=True, capture_output=True, text=True).stdout)
    return 2 * cores * properties.multi_processor_count * megahertz * 1e6


def operations(options: LfccOptions) -> float:
    """Additions and multiplications for one utterance.

    A real transform of n values is counted as 2.5 n log2(n). A frame has one for its spectrum and one for its cosines,
    a product for each sample of the window, 3 for each power, 2 for each weight of a filter that is not zero, and 16
    for each logarithm.
    """
    bins = options.n_fft // 2 + 1
    weights = 2 * bins  # a bin is in two filters
    frame = 2.5 * options.n_fft * log2(options.n_fft) + options.win_length + 3 * bins + 2 * weights
    frame += 16 * options.n_filter + 2.5 * options.n_filter * log2(options.n_filter) + 3 * options.n_filter
    return options.frames(SAMPLES) * frame


def noise_bank() -> Bank:
    """Recordings of 10 to 60 s, and impulse responses of 0.7 s."""
    random = generator(1, "gpu benchmark", "bank")
    signals: list[np.ndarray] = []
    members: dict[tuple[str, str], list[int]] = {}
    for category, count in (("noise", 130), ("music", 130), ("speech", 140), ("rir", 200)):
        members[category, "train"] = list(range(len(signals), len(signals) + count))
        for _ in range(count):
            length = 11_200 if category == "rir" else int(random.integers(160_000, 960_000))
            signals.append(random.integers(-3000, 3000, length).astype(np.int16))
    bank = Bank.of(signals)
    return Bank(bank.samples, bank.starts, members)


if __name__ == "__main__":
    main()
