"""What mixing and LFCCs take on a GPU: `python benchmarks/gpu.py`, from an activated environment, on an idle machine.

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
from torchaudio.transforms import LFCC

from srctrace import gpu, provenance
from srctrace.frontends.lfcc import LfccOptions
from srctrace.rng import generator

ROOT = Path(__file__).parents[1]
SAMPLES = 64000
BATCH = 2048
SETTINGS = {
    "320/160": LfccOptions(),
    "512/400/160, centred": LfccOptions(n_fft=512, win_length=400, center=True),
}
CORES_PER_MULTIPROCESSOR = {8: {0: 64}, 9: {0: 128}}  # fp32, by compute capability; otherwise 128
CLEAN, ADD, REVERB = 0, 1, 2


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
    for name, options in SETTINGS.items():
        theirs = BATCH / seconds(torchaudio(options, floats))
        for kind, waves in (("int16", int16), ("float32", floats)):
            ours = BATCH / seconds(lambda waves=waves, options=options: gpu.lfcc(waves, options))
            share = ours * operations(options) / peak
            lines.append(f"| {name}, {kind} | {ours:,.0f} | {share:.0%} | {theirs:,.0f} | {ours / theirs:.1f} |")
    lines += [
        "",
        "Operations of one utterance: "
        + ", ".join(f"{operations(options) / 1e6:.1f} M ({name})" for name, options in SETTINGS.items())
        + ".",
        "",
        "| five variants of resident int16 audio | utterances/s |",
        "| --- | --- |",
    ]
    bank, plan = noise_bank(), variants()
    for name, options in SETTINGS.items():

        def augmented(options: LfccOptions = options) -> torch.Tensor:
            return gpu.augment_lfcc(int16, bank, 5, **plan, options=options)

        lines.append(f"| {name} | {BATCH / seconds(augmented):,.0f} |")

    pinned = torch.empty((BATCH, SAMPLES), dtype=torch.int16, pin_memory=True)
    pinned.copy_(int16)

    def upload() -> torch.Tensor:
        return int16.copy_(pinned, non_blocking=True)

    copied = pinned.nbytes / seconds(upload)
    both = BATCH / seconds(lambda: gpu.lfcc(upload(), SETTINGS["320/160"]))
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


def torchaudio(options: LfccOptions, waves: torch.Tensor) -> Callable[[], torch.Tensor]:
    """torchaudio's LFCC of the batch; its floor is then that of the batch, and not of each utterance."""
    transform = LFCC(
        options.sample_rate,
        n_filter=options.n_filter,
        n_lfcc=options.n_lfcc,
        speckwargs={
            "n_fft": options.n_fft,
            "win_length": options.win_length,
            "hop_length": options.hop_length,
            "center": options.center,
        },
    ).cuda()
    return lambda: transform(waves)


def noise_bank() -> gpu.DeviceBank:
    """400 recordings of 10 to 60 s, then 200 impulse responses of 0.7 s."""
    rng = generator(1, "gpu benchmark", "bank")
    lengths = [*rng.integers(160_000, 960_000, 400), *[11_200] * 200]
    samples = rng.integers(-3000, 3000, sum(lengths)).astype(np.int16)
    return gpu.DeviceBank(samples, np.cumsum([0, *lengths]))


def variants() -> dict[str, np.ndarray]:
    """Of each utterance: clean, noise, music, babble of 3 to 8 talkers, reverb."""
    rng = generator(1, "gpu benchmark", "plan")
    counts = [count for _ in range(BATCH) for count in (0, 1, 1, int(rng.integers(3, 9)), 1)]
    firsts = np.cumsum([0, *counts])
    records = rng.integers(0, 400, firsts[-1])
    offsets = rng.integers(0, 160_000, firsts[-1])
    reverb = firsts[4:-1:5]
    records[reverb], offsets[reverb] = 400 + records[reverb] % 200, 0
    kinds = np.tile(np.array([CLEAN, ADD, ADD, ADD, REVERB], np.uint8), BATCH)
    return {
        "kinds": kinds,
        "firsts": firsts,
        "snrs": rng.uniform(0, 20, 5 * BATCH),
        "records": records,
        "offsets": offsets,
    }


if __name__ == "__main__":
    main()
