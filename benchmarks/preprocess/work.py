"""What all parts of the benchmark work on."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile
import torch

from srctrace.augment import draw, plan_of
from srctrace.bank import Bank
from srctrace.frontends.lfcc import LfccOptions
from srctrace.grid import VARIANTS

RATE, SAMPLES, BATCH = 16000, 64000, 32
FEW = 4  # utterances for those that are slow
OPTIONS = {
    "320/160": LfccOptions(),
    "512/400/160, centred": LfccOptions(n_fft=512, win_length=400, center=True),
}


class Work:
    """Speech-like utterances, noise as files in `folder` and in memory, and a plan for them; plots go to `results`."""

    def __init__(self, folder: Path, results: Path):
        self.results = results
        random = np.random.default_rng(0)
        self.int16 = np.stack([modulated_noise(random, SAMPLES) for _ in range(BATCH)])
        self.float32 = self.int16.astype(np.float32) / np.float32(32768)
        self.tensor = torch.from_numpy(self.float32)
        signals, self.files = [], []
        members: dict[tuple[str, str], list[int]] = {}
        for category, count, seconds in (("noise", 8, 23), ("music", 4, 232), ("speech", 8, 510), ("rir", 8, 0.7)):
            for _ in range(count):
                signal = modulated_noise(random, int(seconds * RATE))
                if category == "rir":
                    signal = (signal * np.exp(-np.arange(len(signal)) / (0.1 * RATE))).astype(np.int16)
                members.setdefault((category, "train"), []).append(len(signals))
                path = folder / f"{category} {len(signals)}.wav"
                soundfile.write(path, signal, RATE)
                signals.append(signal)
                self.files.append(path)
        self.bank = Bank(np.concatenate(signals), np.cumsum([0, *map(len, signals)]), members)
        self.mixes = [[draw(self.bank, f"u{i}", variant, "train", 0) for variant in VARIANTS] for i in range(BATCH)]
        self.plan = plan_of(self.mixes, self.bank, SAMPLES)
        self.flacs = [folder / f"{i}.flac" for i in range(8)]
        for path in self.flacs:
            soundfile.write(path, modulated_noise(random, 24000 * 4), 24000)


def modulated_noise(random: np.random.Generator, samples: int) -> np.ndarray:
    """Noise with the slope and the pauses of speech, int16."""
    noise = scipy.signal.lfilter([1.0], [1.0, -0.9], random.normal(0, 1000, samples))
    return (noise * np.abs(np.sin(np.arange(samples) / 4000))).astype(np.int16)


def itself(part: str, quick: bool, environment: Mapping[str, str]) -> Any:
    """What one part gives in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.preprocess", "--only", part, *(["--quick"] if quick else [])]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)
