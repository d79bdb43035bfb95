"""Trimming and levelling, the same for every source.

Loudness, clipping, offset, peaks, pauses and the silence around speech must not name the source: they say how a
synthesiser was run, not which one it was, and a model would rather learn them than listen.
"""

import numpy as np
from scipy.ndimage import minimum_filter1d
from scipy.optimize import brentq
from scipy.signal import butter, sosfilt, sosfiltfilt

FRAME = 0.025  # seconds
SILENCE = -40.0  # dB relative to the loudest frame: what is below is silence
LOWEST = 50.0  # Hz: no voice goes below, offsets and drifts do
CREST = 14.0  # dB, peak over RMS: nearly all speech has more, and any can be brought down to it
BLOCK = 0.001  # seconds, the resolution of the limiter's gain
SMOOTH = 4  # blocks, either side
ROOM_TONE = -27.0  # dB, over the RMS of the speech
ROOM_TONE_EDGE = 150.0  # Hz: above, the tone falls by 6 dB an octave


def level(wave: np.ndarray, sample_rate: int, rms: float, rng: np.random.Generator) -> np.ndarray:
    """Trim speech, and bring offset, crest factor, pauses and loudness to what they are for every source.

    Arguments:
        wave: float `(samples,)`, in units of full scale.
        rms: of the result, in dB below full scale.
        rng: draws the room tone.

    Returns:
        int16 `(samples,)`, shorter than `wave`.
    """
    wave = trim(sosfiltfilt(butter(2, LOWEST, "highpass", fs=sample_rate, output="sos"), wave), sample_rate)
    wave = _unit(limit(_unit(wave), sample_rate))
    wave = wave + 10 ** (ROOM_TONE / 20) * room_tone(len(wave), sample_rate, rng)
    for _ in range(2):  # turning down one side's peaks more than the other's makes an offset
        wave = limit(wave, sample_rate)
        wave -= np.mean(wave)
    return np.round(_unit(wave) * 10 ** (rms / 20) * 32768).astype(np.int16)


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
    return 10 * np.log10(np.maximum(power, 1e-12 * power.max()) / power.max())


def limit(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Turn down the loudest instants of `(samples,)` until the peak is `CREST` dB above the RMS.

    The gain moves smoothly, over 5 ms, so that no new harmonics are heard. Turning instants down makes the wave
    quieter as a whole, so the ceiling is searched for, on the peaks and powers of blocks.
    """
    size = round(BLOCK * sample_rate)
    blocks = np.pad(wave, (0, -len(wave) % size)).reshape(-1, size)
    peaks, powers = np.abs(blocks).max(axis=1), np.square(blocks).sum(axis=1)
    smooth = np.hanning(2 * SMOOTH + 3)[1:-1] / (SMOOTH + 1)

    def gain_under(ceiling: float) -> np.ndarray:
        needed = np.minimum(1, ceiling / np.maximum(peaks, 1e-9))
        held = minimum_filter1d(needed, 2 * SMOOTH + 3, mode="nearest")
        return np.convolve(np.pad(held, SMOOTH, mode="edge"), smooth, mode="valid")

    def excess(ceiling: float) -> float:
        """How far the peak stands above where it should be, in dB."""
        rms = np.sqrt(powers @ np.square(gain_under(ceiling)) / len(wave))
        return 20 * np.log10(ceiling / rms) - CREST

    if excess(peaks.max()) <= 0:
        return wave
    lowest = 0.05 * peaks.max()
    ceiling = lowest if excess(lowest) >= 0 else brentq(excess, lowest, peaks.max(), rtol=1e-5)
    centres = size * (np.arange(len(blocks)) + 0.5) - 0.5
    return wave * np.interp(np.arange(len(wave)), centres, gain_under(ceiling))


def room_tone(length: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Low quiet noise of unit RMS, `(length,)`: it fills pauses, which are more or less deep under each source."""
    noise = sosfilt(butter(1, ROOM_TONE_EDGE, fs=sample_rate, output="sos"), rng.standard_normal(length))
    return _unit(noise)


def _unit(wave: np.ndarray) -> np.ndarray:
    return wave / np.sqrt(np.mean(np.square(wave)))
