"""Resynthesis of a wave by vocoders: the wave is taken apart and put together again, as a neural system's output is.

Each takes float `(samples,)`, its sample rate and a generator, and returns float `(samples,)` of the same length.
"""

import warnings

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import get_window, istft, lfilter, stft

from srctrace.errors import UserError

MISSING = "the source 'world' needs pyworld: pip install -e '.[builtin]'"


def require_world() -> None:
    """Raise a UserError if the optional package that holds WORLD is not there."""
    _import_world()


def world(wave: np.ndarray, sample_rate: int, _rng: np.random.Generator) -> np.ndarray:
    """WORLD (Morise et al. 2016) with the spectral envelope coded to 40 numbers a frame."""
    pyworld = _import_world()
    pitch, times = pyworld.dio(wave, sample_rate)
    pitch = pyworld.stonemask(wave, pitch, times, sample_rate)
    envelope = pyworld.cheaptrick(wave, pitch, times, sample_rate)
    aperiodicity = pyworld.d4c(wave, pitch, times, sample_rate)
    size = 2 * (envelope.shape[1] - 1)
    coded = pyworld.code_spectral_envelope(envelope, sample_rate, 40)
    envelope = pyworld.decode_spectral_envelope(coded, sample_rate, size)
    return _fit(pyworld.synthesize(pitch, envelope, aperiodicity, sample_rate), len(wave))


def griffinlim(
    wave: np.ndarray, sample_rate: int, rng: np.random.Generator, n_mels: int = 80, rounds: int = 32
) -> np.ndarray:
    """Griffin-Lim (Griffin & Lim 1984) from the magnitudes of 80 mel bands."""
    size, hop = 1024, 256
    framing = {"fs": sample_rate, "nperseg": size, "noverlap": size - hop}
    magnitude = np.abs(stft(wave, **framing)[2])
    bands = mel_bands(sample_rate, size, n_mels)
    # einsum, not @: BLAS adds in an order that depends on its number of threads, and the bytes must not
    mel = np.einsum("bf,ft->bt", bands / bands.sum(axis=1, keepdims=True), magnitude)
    magnitude = np.einsum("bf,bt->ft", bands, mel)
    spectrum = magnitude * np.exp(2j * np.pi * rng.random(magnitude.shape))
    for _ in range(rounds):
        spectrum = stft(istft(spectrum, **framing)[1], **framing)[2]
        spectrum = magnitude * np.exp(1j * np.angle(spectrum))
    return _fit(istft(spectrum, **framing)[1], len(wave))


def lpc(wave: np.ndarray, sample_rate: int, rng: np.random.Generator, order: int = 24) -> np.ndarray:
    """A linear-prediction vocoder (Atal & Hanauer 1971): an all-pole filter a frame, driven by pulses or noise."""
    size, hop = round(0.030 * sample_rate), round(0.010 * sample_rate)
    window = get_window("hann", size, fftbins=False)
    padded = np.pad(wave, (size // 2, size + hop))
    out = np.zeros(len(wave) + hop)
    shortest, longest = sample_rate // 400, sample_rate // 60
    state, next_pulse = np.zeros(order), 0.0
    for start in range(0, len(wave), hop):
        frame = padded[start : start + size] * window
        spectrum = np.fft.rfft(frame, 2 * size)
        correlation = np.fft.irfft(np.square(np.abs(spectrum)))[:size]
        if correlation[0] < 1e-9:
            state[:] = 0
            continue
        regular = np.append(correlation[0] * (1 + 1e-6), correlation[1 : order + 1])
        taps = solve_toeplitz(regular[:-1], regular[1:])
        gain = np.sqrt(max(regular[0] - taps @ regular[1:], 0) / np.sum(np.square(window)))
        # a window's own autocorrelation falls with the lag: what is left says how periodic the frame is
        shape = np.fft.irfft(np.square(np.abs(np.fft.rfft(window, 2 * size))))[: longest + 1]
        periodic = correlation[: longest + 1] / correlation[0] * shape[0] / np.maximum(shape, 1e-3 * shape[0])
        period = shortest + int(np.argmax(periodic[shortest : longest + 1]))
        drive = rng.standard_normal(hop)
        if periodic[period] > 0.5:
            drive = np.zeros(hop)
            while next_pulse < hop:
                drive[int(next_pulse)] = np.sqrt(period)
                next_pulse += period
        next_pulse = max(next_pulse - hop, 0.0)
        out[start : start + hop], state = lfilter([gain], np.append(1, -taps), drive, zi=state)
    return out[: len(wave)]


def mel_bands(sample_rate: int, n_fft: int, n_mels: int) -> np.ndarray:
    """Triangles evenly spaced on the mel scale, 2595 log10(1 + f / 700): `(n_mels, n_fft // 2 + 1)`."""
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, n_mels + 2) / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    return np.maximum(0, np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)))


def _fit(wave: np.ndarray, length: int) -> np.ndarray:
    return np.pad(wave[:length], (0, max(0, length - len(wave))))


def _import_world():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyworld imports pkg_resources, which says at length that it is old
            import pyworld  # noqa: PLC0415
    except ImportError:
        raise UserError(MISSING) from None
    return pyworld


RESYNTHESES = {"world": world, "griffinlim": griffinlim, "lpc": lpc}
