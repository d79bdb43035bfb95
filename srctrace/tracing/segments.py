"""A file of any length as the segments that a model is given, read in blocks: memory does not grow with the file."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from srctrace.audio import SAMPLE_RATE, downmix, refuse_truncated, to_int16
from srctrace.errors import UserError

SUFFIXES = (
    *(".wav", ".wave", ".w64", ".rf64", ".flac", ".mp3", ".ogg", ".oga", ".opus"),
    *(".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist", ".voc"),
)
"""Of the files of a folder that are taken for audio."""

STDIN = "-"
BLOCK = 1 << 18  # frames of the file that are read at once, at most
BLOCK_SECONDS = 8  # at most, too: at 16 kHz, a block of a low rate has many more samples
LEAST_RATE = 1000  # Hz: what is below holds no speech, and mostly a damaged header
LEAST_REST = 0.5  # s: less than this at the end of a longer file is left out
SILENCE = 66  # peak to peak in int16: 60 dB below full scale


@dataclass(frozen=True)
class Segment:
    """A stretch of a file: `start` and `end` in seconds, and its samples, int16 mono at 16 kHz."""

    start: float
    end: float
    samples: np.ndarray

    @property
    def silent(self) -> bool:
        """Whether it has nothing to be traced: it stays within 60 dB below full scale."""
        return int(self.samples.max()) - int(self.samples.min()) < SILENCE


def find_audio(inputs: Sequence[str | os.PathLike]) -> list[str]:
    """The files that are meant: a folder stands for all audio below it, sorted, but for hidden files.

    What is no folder is taken as it is, even if there is no such file; and so is a folder without audio.
    """
    found = []
    for given in map(os.fspath, inputs):
        below = []
        if os.path.isdir(given):
            for folder, _, names in os.walk(given):
                audio = (name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith("."))
                below += (os.path.join(folder, name) for name in audio)
        found += sorted(below) or [given]
    return found


def is_stream(file: str | os.PathLike) -> bool:
    """Whether it can be read but once: standard input, or a named pipe."""
    return file == STDIN or Path(file).is_fifo()


def segments(file: str | os.PathLike, seconds: float) -> Iterator[Segment]:
    """The segments of a file, each of `seconds`, one after the other.

    A file that is shorter is repeated, as in training. What is left at the end of a longer one makes a last segment
    that ends with the file, and so overlaps the one before; less than `LEAST_REST` seconds are left out.

    The samples are those of `audio.decode`, to the bit; of an MP3 file of more than a block, off by one here and there,
    as libsndfile rounds otherwise after each block.

    Args:
        file: of any format that libsndfile reads, of any rate and number of channels; `-`: standard input.

    Raises:
        UserError: it is missing, empty, truncated, not audio, of less than `LEAST_RATE`, or holds NaN or infinity.
    """
    length = round(seconds * SAMPLE_RATE)
    before = held = np.empty(0, np.int16)
    place = 0  # of what is held, in the file
    for samples in _decoded(file):
        held = np.concatenate([held, samples])
        while len(held) >= length:
            before, held = held[:length], held[length:]
            yield Segment(place / SAMPLE_RATE, (place + length) / SAMPLE_RATE, before)
            place += length
    end = place + len(held)
    if end == 0:
        raise UserError(f"{file}: too short: it has no sample at {SAMPLE_RATE} Hz")
    if place == 0:
        yield Segment(0.0, end / SAMPLE_RATE, np.resize(held, length))
    elif len(held) >= LEAST_REST * SAMPLE_RATE:
        last = np.concatenate([before, held])[-length:]
        yield Segment((end - length) / SAMPLE_RATE, end / SAMPLE_RATE, last)


def _decoded(file: str | os.PathLike) -> Iterator[np.ndarray]:
    """Blocks of int16, mono, at 16 kHz."""
    with _on_disk(file) as path:
        if path.is_dir():
            raise UserError(f"{file}: a folder without audio ({' '.join(SUFFIXES)}): name files")
        refuse_truncated(path)
        try:
            with soundfile.SoundFile(os.fsencode(path)) as audio:  # its own encoding refuses what is not UTF-8
                yield from _resampled(audio, file)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a suffix of files without a header
            reason = getattr(error, "error_string", str(error)).rstrip(".")
            raise UserError(f"{file}: cannot be read as audio ({reason}): convert it to WAV or FLAC") from None


def _resampled(audio: soundfile.SoundFile, file: str | os.PathLike) -> Iterator[np.ndarray]:
    if audio.samplerate < LEAST_RATE:
        raise UserError(
            f"{file}: {audio.samplerate} samples per second, where speech has {LEAST_RATE} at least: fetch it again, "
            "as its header may be damaged, or leave it out"
        )
    block = min(BLOCK, BLOCK_SECONDS * audio.samplerate)
    stream = soxr.ResampleStream(audio.samplerate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    count = 0
    while True:
        native = audio.read(block, dtype="float32", always_2d=True)
        if not np.isfinite(native).all():
            raise UserError(f"{file}: holds NaN or infinity from {count / audio.samplerate:.1f} s on: make it again")
        count += len(native)
        mono = np.ascontiguousarray(downmix(native))
        last = len(native) < block
        yield to_int16(mono if audio.samplerate == SAMPLE_RATE else stream.resample_chunk(mono, last=last))
        if last:
            break
    if count < audio.frames:
        raise UserError(f"{file}: truncated: {count} of {audio.frames} samples could be read: fetch it again")


@contextmanager
def _on_disk(file: str | os.PathLike) -> Iterator[Path]:
    """The file; of standard input or a named pipe, a copy for the time being: formats are told by going to and fro."""
    if not is_stream(file):
        yield Path(file)
        return
    with tempfile.NamedTemporaryFile(prefix="srctrace-") as copy:
        if file == STDIN:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        else:
            with Path(file).open("rb") as pipe:
                shutil.copyfileobj(pipe, copy)
        copy.flush()
        try:
            yield Path(copy.name)
        except UserError as error:
            name = "standard input" if file == STDIN else str(file)
            raise UserError(str(error).replace(copy.name, name)) from None
