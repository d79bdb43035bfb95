"""Trimming and levelling, the same for every source: loudness, clipping, silence and offset must not name it."""

import numpy as np
from scipy.ndimage import minimum_filter1d
from scipy.signal import butter, sosfiltfilt

FRAME = 0.025  # seconds
SILENCE = -40.0  # dB relative to the loudest frame: what is below is silence
LOWEST = 50.0  # Hz: no voice goes below, offsets and drifts do
BLOCK = 0.001  # seconds
SMOOTH = 5  # blocks, either side
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
    wave = trim(sosfiltfilt(butter(2, LOWEST, "highpass", fs=sample_rate, output="sos"), wave), sample_rate)
    for _ in range(3):  # turning down one side's peaks more than the other's makes an offset
        wave = limit(wave, sample_rate)
        wave -= np.mean(wave)
    wave *= 10 ** (rms / 20) / np.sqrt(np.mean(np.square(wave)))
    return np.round(wave * 32768).astype(np.int16)


def limit(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Turn down the loudest instants of `(samples,)` until the peak is `CREST` dB above the RMS.

    The gain moves smoothly, over 5 ms, so that no new harmonics are heard; it is found on blocks of 1 ms. Turning
    instants down makes the wave quieter as a whole, which lowers the ceiling: hence the rounds.
    """
    size = round(BLOCK * sample_rate)
    blocks = np.pad(wave, (0, -len(wave) % size)).reshape(-1, size)
    peaks, powers = np.abs(blocks).max(axis=1), np.square(blocks).sum(axis=1)
    smooth = np.hanning(2 * SMOOTH + 3)[1:-1] / (SMOOTH + 1)
    gain = np.ones(len(blocks))
    for _ in range(40):
        ceiling = 10 ** (CREST / 20) * np.sqrt(powers @ np.square(gain) / len(wave))
        if (gain * peaks).max() <= 1.0001 * ceiling:
            break
        held = minimum_filter1d(np.minimum(1, ceiling / np.maximum(peaks, 1e-9)), 2 * SMOOTH + 3, mode="nearest")
        gain = np.convolve(np.pad(held, SMOOTH, mode="edge"), smooth, mode="valid")
    centres = size * (np.arange(len(blocks)) + 0.5)
    return wave * np.interp(np.arange(len(wave)), centres, gain)
