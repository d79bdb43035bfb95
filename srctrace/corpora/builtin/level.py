"""Trimming and levelling, the same for every source: loudness, clipping, silence and offset must not name it."""

import numpy as np

FRAME = 0.025  # seconds
SILENCE = -40.0  # dB relative to the loudest frame: what is below is silence


def trim(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cut silent frames off both ends of `(samples,)`."""
    loud = np.flatnonzero(frame_levels(wave, sample_rate) > SILENCE)
    size = round(FRAME * sample_rate)
    return wave[loud[0] * size : (loud[-1] + 1) * size]


def frame_levels(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Levels of the 25 ms frames of `(samples,)`, in dB relative to the loudest: `(frames,)`."""
    size = round(FRAME * sample_rate)
    frames = wave[: len(wave) // size * size].reshape(-1, size).astype(np.float64)
    power = np.mean(np.square(frames), axis=1)
    return 10 * np.log10(np.maximum(power, 1e-12) / max(power.max(), 1e-12))
