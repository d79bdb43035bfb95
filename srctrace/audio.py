"""From a file to 4 s of mono 16 kHz int16, and what the file was before."""

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile
import soxr

from srctrace.errors import UserError
from srctrace.tensors import load_tensor

SAMPLE_RATE = 16_000  # Hz, of everything after decoding
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")
TENSOR_SUFFIX = ".pt"
LOUDEST_TENSOR = 10.0  # of full scale: what is far beyond is on another scale, as that of int16

SILENCE_FRAME = 0.025  # s
SILENCE_DEPTH = 40.0  # dB below the loudest frame
BANDWIDTH_SHARE = 0.99  # of the power
LEAST_UNKNOWN_SIZE = 0x7FFFF000  # bytes: a WAV header that says so much says that the size was not known
FLOOR = 1e-5  # of full scale: levels in dB stop at -100


@dataclass(frozen=True)
class Clip:
    """A decoded file. `samples`: int16, mono, 16 kHz; the rest describes the file as it was."""

    samples: np.ndarray
    digest: str
    sample_rate: int
    channels: int
    duration: float
    rms: float
    peak: float
    dc: float
    silence: float
    bandwidth: float


FACTS = ("digest", "sample_rate", "channels", "duration", "rms", "peak", "dc", "silence", "bandwidth")
"""The fields of a Clip that describe the file: columns of the index of waves."""


def decode(path: str | os.PathLike, channel: int | None = None) -> Clip:
    """Decode a file of any rate, width and number of channels.

    Args:
        channel: the one to take; none: their mean.

    Raises:
        UserError: the file is missing, empty, truncated, not audio, has no samples, or holds NaN or infinity.
    """
    native, rate = read(path)
    mono = downmix(native) if channel is None else native[:, channel]
    samples = to_int16(resample(mono, rate))
    if len(samples) == 0:
        raise UserError(f"{path}: too short: {len(mono)} samples at {rate} Hz: remove it from the corpus")
    return Clip(
        samples=samples,
        digest=blake2b(samples.data, digest_size=16).hexdigest(),
        sample_rate=rate,
        channels=native.shape[1],
        duration=len(mono) / rate,
        rms=decibel(np.sqrt(np.mean(np.square(mono, dtype=np.float64)))),
        peak=decibel(np.abs(mono).max()),
        dc=float(np.mean(mono, dtype=np.float64)),
        silence=_silence(mono, rate),
        bandwidth=_bandwidth(mono, rate),
    )


def read(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """All of a file: `(samples, channels)` float32 in units of full scale, and its samples per second.

    A waveform that was saved as a tensor, `(samples,)` or `(1, samples)`, is taken to be at 16 kHz.

    Raises:
        UserError: as `decode`.
    """
    path = Path(path)
    refuse_truncated(path)
    if path.suffix == TENSOR_SUFFIX:
        return _read_tensor(path), SAMPLE_RATE
    try:
        with soundfile.SoundFile(path) as file:
            rate, expected = file.samplerate, file.frames
            native = file.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: cannot be read as audio ({error.error_string.rstrip('.')})") from None
    if len(native) == 0:
        raise UserError(f"{path}: the file has no samples: remove it from the corpus")
    if len(native) < expected:
        raise UserError(f"{path}: truncated: {len(native)} of {expected} samples could be read: fetch it again")
    if not np.isfinite(native).all():
        raise UserError(f"{path}: holds NaN or infinity: make it again or remove it from the corpus")
    return native, rate


def _read_tensor(path: Path) -> np.ndarray:
    tensor = load_tensor(path)
    if tensor.ndim not in (1, 2) or (tensor.ndim == 2 and len(tensor) != 1) or tensor.size == 0:
        raise UserError(f"{path}: a tensor of shape {tensor.shape}, where a waveform is (samples,) or (1, samples)")
    if np.abs(tensor).max() > LOUDEST_TENSOR:
        raise UserError(f"{path}: values up to {np.abs(tensor).max():g}, where a waveform is within 1: scale it")
    return np.ascontiguousarray(tensor.reshape(-1, 1))


def downmix(native: np.ndarray) -> np.ndarray:
    """`(samples, channels)` to the mean of the channels."""
    return native.mean(axis=1) if native.shape[1] > 1 else native[:, 0]


def resample(mono: np.ndarray, rate: int) -> np.ndarray:
    """A signal of `rate` samples per second at 16 kHz."""
    return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")


def fit(samples: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Exactly `length` samples: a stretch at a drawn offset of a longer signal, or a shorter one repeated."""
    if len(samples) > length:
        start = rng.integers(len(samples) - length + 1)
        return samples[start : start + length]
    return np.resize(samples, length)


def to_int16(signal: np.ndarray) -> np.ndarray:
    """Float in [-1, 1) to int16, rounded and clipped; int16 read as float comes back unchanged."""
    scaled = signal * np.float32(32768)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -32768, 32767, out=scaled).astype(np.int16)


def decibel(amplitude: float) -> float:
    """Level in dB of an amplitude relative to full scale, not below -100."""
    return 20.0 * float(np.log10(max(float(amplitude), FLOOR)))


def refuse_truncated(path: Path) -> None:
    """Compare the sizes in a WAV header with the file: libsndfile reads one that was cut short without a word.

    Raises:
        UserError: the file cannot be opened, is empty, or is shorter than its header says.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {error.strerror}") from None
    if size == 0:
        raise UserError(f"{path}: the file is empty: fetch it again, or leave it out")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        declared = int.from_bytes(head[4:8], "little")
        # Programs that write to a pipe cannot know the size: they leave 0, or the largest number they dare to.
        if 0 < declared < LEAST_UNKNOWN_SIZE and declared + 8 > size + 1:
            raise UserError(f"{path}: truncated: {size} bytes, but its header says {declared + 8}: fetch it again")


def _silence(mono: np.ndarray, rate: int) -> float:
    frame = max(1, round(SILENCE_FRAME * rate))
    count = max(1, len(mono) // frame)
    frames = mono[: count * frame].reshape(count, -1)
    energy = np.einsum("ij,ij->i", frames, frames)
    return float(np.mean(energy <= energy.max() * 10 ** (-SILENCE_DEPTH / 10)))


def _bandwidth(mono: np.ndarray, rate: int) -> float:
    """Averaged over 32 ms frames: one FFT of the whole file would be slow where its length is a large prime."""
    frame = max(2, round(0.032 * rate))
    padded = np.pad(mono, (0, -len(mono) % frame)).reshape(-1, frame)
    spectra = scipy.fft.rfft(padded * np.hanning(frame).astype(np.float32))
    power = np.sum(spectra.real**2 + spectra.imag**2, axis=0, dtype=np.float64)
    total = power.sum()
    if total == 0.0:
        return 0.0
    return float(np.searchsorted(np.cumsum(power), BANDWIDTH_SHARE * total) * rate / frame)
