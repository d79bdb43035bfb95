"""Trimming and levelling, the same for every source: loudness, clipping, silence and offset must not name it."""

import numpy as np
from scipy.ndimage import minimum_filter1d
from scipy.signal import fftconvolve

FRAME = 0.025  # seconds
SILENCE = -40.0  # dB relative to the loudest frame: what is below is silence
CREST = 12.0  # dB, peak over RMS


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


def level(wave: np.ndarray, sample_rate: int, rms: float) -> np.ndarray:
    """Trim `(samples,)`, remove its offset, bring its crest factor to `CREST` and its RMS to `rms` dB: int16."""
    wave = trim(wave, sample_rate)
    wave = limit(wave - np.mean(wave), sample_rate)
    wave *= 10 ** (rms / 20) / np.sqrt(np.mean(np.square(wave)))
    return np.round(wave * 32768).astype(np.int16)


def limit(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Turn down the loudest instants of `(samples,)` until the peak is `CREST` dB above the RMS.

    The gain falls and recovers smoothly within 5 ms either side, so that no new harmonics are heard. Each round makes
    the wave quieter as a whole, so a few are needed.
    """
    half = round(0.005 * sample_rate)
    window = np.hanning(2 * half + 1)
    window /= window.sum()
    for _ in range(20):
        ceiling = 10 ** (CREST / 20) * np.sqrt(np.mean(np.square(wave)))
        if np.abs(wave).max() <= 1.001 * ceiling:
            break
        needed = np.minimum(1, ceiling / np.maximum(np.abs(wave), 1e-9))
        held = minimum_filter1d(needed, 2 * half + 1)
        wave = wave * fftconvolve(np.pad(held, half, mode="edge"), window, mode="valid")
    return wave
