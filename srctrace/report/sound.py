"""A sound inside a page: the audio, to be played, and its spectrogram, to be looked at."""

import base64
import io
import struct
import zlib

import numpy as np
import soundfile
from matplotlib import colormaps

from srctrace.audio import SAMPLE_RATE

WINDOW, HOP = 512, 320  # samples: 32 and 20 ms
ROWS = 64  # of 125 Hz each
RANGE = 70.0  # dB below the loudest place that are shown
LEVELS = 32  # colours: more make the picture larger, and no clearer
QUALITY = 0.8  # of MP3's variable bit rate, from 0 (best) to 1: some 35 kbit/s at 16 kHz


def audio_address(samples: np.ndarray) -> str:
    """`(samples,)` int16 at 16 kHz as a data: address of an MP3, which every browser plays."""
    file = io.BytesIO()
    soundfile.write(
        file,
        samples,
        SAMPLE_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=QUALITY,
        bitrate_mode="VARIABLE",
    )
    return _address("audio/mpeg", file.getvalue())


def spectrogram_address(samples: np.ndarray) -> str:
    """`(samples,)` int16 at 16 kHz as a data: address of a PNG: a column per 20 ms, low frequencies at the bottom."""
    return _address("image/png", _png(spectrogram(samples)))


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Level `(ROWS, columns)`, uint8 below `LEVELS`, of `(samples,)` int16; the first row is the highest frequency."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)[:, 1:]) ** 2
    bands = power.reshape(len(power), ROWS, -1).mean(axis=2).T[::-1]
    decibels = 10 * np.log10(np.maximum(bands, 1e-9))
    shown = np.clip((decibels - decibels.max()) / RANGE + 1, 0, 1)
    return np.round(shown * (LEVELS - 1)).astype(np.uint8)


def _png(levels: np.ndarray) -> bytes:
    """Levels as a picture with a palette that is even to the eye, also to a colour-blind one.

    Written here as Matplotlib's pictures have four bytes for each point, and are thrice as large.
    """
    height, width = levels.shape
    palette = (colormaps["magma"](np.linspace(0, 1, LEVELS))[:, :3] * 255).round().astype(np.uint8)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), levels], axis=1)  # each line: no filter, then its points
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": palette.tobytes(),
        b"IDAT": zlib.compress(lines.tobytes(), 9),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode()
