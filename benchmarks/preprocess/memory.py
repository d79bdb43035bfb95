"""Memory against the number of utterances."""

import re
from pathlib import Path

import numpy as np

from benchmarks.preprocess.work import BATCH, SAMPLES, itself, modulated_noise
from srctrace.augment import augment_lfcc, draw, plan_of
from srctrace.bank import Bank
from srctrace.frontends.lfcc import LfccOptions
from srctrace.grid import VARIANTS


def memory(quick: bool) -> list[str]:
    lines = ["", "## Memory", ""]
    lines += [
        "The largest memory of a process that makes five variants and their LFCCs, on two threads, in batches of 32,"
    ]
    lines += [
        "every utterance with noise and an impulse response of its own. It ends when all spectra that are kept are."
    ]
    lines += ["", "| utterances | MiB |", "| ---: | ---: |"]
    return lines + [f"| {utterances} | {peak:.0f} |" for utterances, peak in itself("memory", quick, {})]


def peaks(largest: int) -> list[tuple[int, float]]:
    """The process's largest memory in MiB, by the number of utterances done."""
    random = np.random.default_rng(0)
    speech = modulated_noise(random, 20 * SAMPLES)
    lengths = {"noise": [200_000] * 20, "music": [500_000] * 8, "speech": [500_000] * 16}
    lengths["rir"] = random.integers(2000, 16000, 400).tolist()
    members, offsets = {}, [0]
    for category, ours in lengths.items():
        members[category, "train"] = list(range(len(offsets) - 1, len(offsets) - 1 + len(ours)))
        for length in ours:
            offsets.append(offsets[-1] + length)
    bank = Bank(random.integers(-3000, 3000, offsets[-1], np.int16), np.array(offsets), members)
    options = LfccOptions()
    out = np.empty((BATCH, 5, options.n_lfcc, options.frames(SAMPLES)), np.float32)
    measured, done = [], 0
    for utterances in (0, largest // 8, largest // 4, largest // 2, largest):
        while done < utterances:
            mixes = [[draw(bank, f"u{done + i}", variant, "train", 0) for variant in VARIANTS] for i in range(BATCH)]
            starts = random.integers(0, len(speech) - SAMPLES, BATCH)
            waves = np.stack([speech[start : start + SAMPLES] for start in starts])
            augment_lfcc(waves, plan_of(mixes, bank, SAMPLES), bank, options, 2, out)
            done += BATCH
        # Not ru_maxrss: that begins with what the parent had.
        status = Path("/proc/self/status").read_text()
        measured.append((done, int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024))
    return measured
