"""A small tree of noise and impulse responses."""

from pathlib import Path

import numpy as np
import soundfile

from srctrace.bank import Bank, open_bank, pack_bank

RATE = 16000


def small_bank(root: Path) -> Bank:
    """A bank of 6 noises, 6 pieces of music, 30 talkers and 6 impulse responses, of 1 s and 6 s, made under `root`."""
    rng = np.random.default_rng(0)
    for category, count in (("musan/noise", 6), ("musan/music", 6), ("musan/speech", 30), ("rirs", 6)):
        (root / category / "x").mkdir(parents=True)
        for index in range(count):
            length = 4000 if category == "rirs" else RATE * (1 if index % 2 else 6)
            decay = np.exp(-np.arange(length) / 500) if category == "rirs" else 1
            soundfile.write(root / category / "x" / f"{index}.wav", 0.1 * rng.normal(size=length) * decay, RATE)
    pack_bank(root / "musan", root / "rirs", root / "bank.npy", seed=0)
    return open_bank(root / "bank.npy")
