"""Writing WAV files."""

import io
import os

import numpy as np
import soundfile

from srctrace.files import atomic_path


def write_wav(path: str | os.PathLike, samples: np.ndarray, sample_rate: int) -> None:
    """Write int16 `(samples,)` as a mono WAV file, atomically.

    Encoded in memory first: on a full disk, libsndfile says no more than "System error", Python says what is wrong.
    """
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, sample_rate, format="WAV", subtype="PCM_16")
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())
