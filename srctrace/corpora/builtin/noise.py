"""The noise bank, in the folder shapes of MUSAN and RIRS_NOISES, at 16 kHz: coloured noise, additive music, speech of
talkers that are in no split, and impulse responses of simulated rooms.
"""

import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import soxr
from scipy.signal import butter, sosfilt

from srctrace.bank import LISTING_COLUMNS
from srctrace.corpora.builtin.espeak import SAMPLE_RATE as SPOKEN_RATE
from srctrace.corpora.builtin.espeak import make_data_folder, require_espeak, synthesise
from srctrace.corpora.builtin.grammars import CARRIERS
from srctrace.corpora.builtin.level import trim
from srctrace.corpora.builtin.pool import run_jobs
from srctrace.corpora.builtin.text import draw_sentence
from srctrace.corpora.builtin.voices import draw_voice, variant_file
from srctrace.corpora.builtin.wav import write_wav
from srctrace.errors import UserError
from srctrace.rng import generator
from srctrace.tables import write_table

SAMPLE_RATE = 16000
SECONDS = 10
N_NOISE, N_MUSIC, N_SPEECH, N_RIRS = 36, 24, 32, 36
TALKER_KLATT = (0, 1, 2, 5)  # glottal sources of the in-set sources: talkers must not favour one
FIRST_TALKER = 1000  # talkers are numbered from here, far beyond the corpus's speakers


def make_noise(root: str | os.PathLike, seed: int, processes: int = 1) -> None:
    """Write `root/musan/{noise,music,speech}/builtin/*.wav`, `root/rirs/builtin/*.wav`: int16, mono, 16 kHz; and, when
    they are whole, `root/noise.tsv`, which lists them.

    The bytes do not depend on `processes`, nor on how large the corpus is.

    Raises:
        UserError: an optional package is missing.
    """
    require_espeak()
    _import_pyroomacoustics()
    root = Path(root)
    makers = [("noise", f"{i:02d}", colour, i) for i in range(N_NOISE)]
    makers += [("music", f"{i:02d}", music, i) for i in range(N_MUSIC)]
    makers += [("speech", f"n{i + 1:02d}", talk, i) for i in range(N_SPEECH)]
    makers += [("rir", f"{i:02d}", room, i) for i in range(N_RIRS)]
    folder_of = {"rir": root / "rirs"}
    listing = [{"category": category, "file": f"builtin/{name}.wav"} for category, name, _, _ in makers]
    jobs = [
        (folder_of.get(row["category"], root / "musan" / row["category"]) / row["file"], make, index)
        for row, (_, _, make, index) in zip(listing, makers, strict=True)
    ]
    for _ in run_jobs(partial(_write, seed), jobs, processes, "make noise", "file"):
        pass
    write_table(root / "noise.tsv", LISTING_COLUMNS, listing)


def _write(seed: int, job: tuple) -> None:
    path, make, index = job
    wave = make(index, seed)
    write_wav(path, np.round(0.5 * 32767 * wave / np.abs(wave).max()).astype(np.int16), SAMPLE_RATE)


def colour(index: int, seed: int) -> np.ndarray:
    """Noise with a sloping spectrum, in six kinds by turns: steady, a band, gusts, rain, hum, and an engine."""
    rng = generator(seed, "noise", index)
    kind = index % 6
    slope = rng.uniform(-2.2, 0.6)  # of the power over frequency: -2 is brown, -1 pink, 0 white
    noise = _sloping(rng, slope)
    time = np.arange(len(noise)) / SAMPLE_RATE
    if kind == 1:
        low = rng.uniform(100, 2000)
        noise = sosfilt(butter(4, [low, low * rng.uniform(1.5, 4)], "bandpass", fs=SAMPLE_RATE, output="sos"), noise)
    elif kind == 2:
        noise *= 0.15 + np.abs(_sloping(rng, -2.0, top=rng.uniform(0.5, 4)))
    elif kind == 3:
        drops = (rng.random(len(noise)) < rng.uniform(20, 400) / SAMPLE_RATE) * rng.exponential(1.0, len(noise))
        ring = np.exp(-np.arange(400) / rng.uniform(8, 80)) * np.sin(np.arange(400) * rng.uniform(0.2, 2.0))
        noise = 0.05 * noise + np.convolve(drops, ring)[: len(noise)]
    elif kind == 4:
        tone = rng.choice([50.0, 60.0, 100.0, 120.0])
        noise *= 0.3
        for harmonic in range(1, 12):
            noise += rng.random() / harmonic * np.sin(2 * np.pi * (tone * harmonic * time + rng.random()))
    elif kind == 5:
        speed = rng.uniform(25, 90) * (1 + 0.1 * _sloping(rng, -2.0, top=1.0))
        phase = np.cumsum(speed) / SAMPLE_RATE
        for harmonic in range(1, 16):
            noise += rng.random() / np.sqrt(harmonic) * np.sin(2 * np.pi * (harmonic * phase + rng.random()))
    return noise


def music(index: int, seed: int) -> np.ndarray:
    """Chords and a melody over them, of decaying harmonics."""
    rng = generator(seed, "music", index)
    key = rng.uniform(110, 220)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if rng.random() < 0.5 else [0, 2, 3, 5, 7, 8, 10])
    beat = rng.uniform(0.25, 0.6)
    decay, falloff, partials = rng.uniform(0.3, 1.5), rng.uniform(0.8, 2.0), int(rng.integers(4, 11))
    stretch = rng.choice([1.0, 1.0, 1.003, 1.01])  # above 1: partials of stiff strings and of bells
    wave = np.zeros((SECONDS + 4) * SAMPLE_RATE)

    def play(start: float, degree: int, length: float, level: float) -> None:
        octave, step = divmod(degree, 7)
        pitch = key * 2 ** (octave + scale[step] / 12)
        time = np.arange(round(min(length, 3.0) * SAMPLE_RATE)) / SAMPLE_RATE
        envelope = level * np.minimum(time / 0.01, 1) * np.exp(-time / decay) * np.minimum((time[-1] - time) / 0.02, 1)
        first = round(start * SAMPLE_RATE)
        for partial_number in range(1, partials + 1):
            frequency = pitch * partial_number**stretch
            if frequency < 0.45 * SAMPLE_RATE:
                tone = np.sin(2 * np.pi * frequency * time + 2 * np.pi * rng.random())
                wave[first : first + len(time)] += envelope * tone / partial_number**falloff

    roots = rng.choice([0, 1, 3, 4, 5], size=4)
    for bar in range(int(SECONDS / (4 * beat)) + 1):
        root = int(roots[bar % 4])
        for third in (0, 2, 4):
            play(4 * bar * beat, root + third, 4 * beat, 0.5)
        for quarter in range(4):
            if rng.random() < 0.8:
                play((4 * bar + quarter) * beat, root + 7 + int(rng.integers(0, 7)), 1.5 * beat, 0.6)
    return wave[: SECONDS * SAMPLE_RATE]


def talk(index: int, seed: int) -> np.ndarray:
    """A talker who is no speaker of the corpus, in one of its languages and in-set sources by turns."""
    languages = tuple(CARRIERS)
    language = languages[index % len(languages)]
    klatt = TALKER_KLATT[index // len(languages) % len(TALKER_KLATT)]
    voice = draw_voice(FIRST_TALKER + index, seed)
    parts: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as folder:
        data = make_data_folder(Path(folder), language, {"talker": variant_file(voice, "talker", klatt)})
        for carrier in generator(seed, "talk", index).permutation(len(CARRIERS[language])):
            sentence = draw_sentence(language, int(carrier), FIRST_TALKER + index, seed)
            spoken = synthesise(data, language, "talker", voice.rate, sentence.words)
            parts += [trim(spoken.astype(np.float64), SPOKEN_RATE), np.zeros(round(0.2 * SPOKEN_RATE))]
            if sum(len(part) for part in parts) > 8 * SPOKEN_RATE:
                break
    return soxr.resample(np.concatenate(parts[:-1])[: SECONDS * SPOKEN_RATE], SPOKEN_RATE, SAMPLE_RATE)


def room(index: int, seed: int) -> np.ndarray:
    """The impulse response of a shoebox room by the image method (Allen & Berkley 1979), from cupboard to hall."""
    pyroomacoustics = _import_pyroomacoustics()
    rng = generator(seed, "room", index)
    size = np.array([2.0, 1.8, 2.2]) + (index % 3 + 1) * rng.uniform([1.0, 1.0, 0.1], [3.0, 2.5, 0.6])
    volume, surface = np.prod(size), 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    seconds = max(rng.uniform(0.15, 0.8), 0.17 * volume / surface)  # Sabine needs an absorption below 1
    absorption, order = pyroomacoustics.inverse_sabine(seconds, size)
    shoebox = pyroomacoustics.ShoeBox(
        size, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(absorption), max_order=min(order, 45)
    )
    talker, microphone = rng.uniform(0.15, 0.85, (2, 3)) * size
    shoebox.add_source(talker)
    shoebox.add_microphone(microphone)
    shoebox.compute_rir()
    return np.asarray(shoebox.rir[0][0], np.float64)[: round(1.2 * SAMPLE_RATE)]


def _sloping(rng: np.random.Generator, slope: float, top: float = SAMPLE_RATE / 2) -> np.ndarray:
    """Gaussian noise of unit RMS whose power goes as frequency to the `slope`, up to `top` Hz; flat below 20 Hz."""
    count = SECONDS * SAMPLE_RATE
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    spectrum = rng.standard_normal((2, len(frequencies)))
    spectrum = (spectrum[0] + 1j * spectrum[1]) * np.maximum(frequencies, min(20.0, top)) ** (slope / 2)
    spectrum[(frequencies == 0) | (frequencies > top)] = 0
    noise = np.fft.irfft(spectrum, count)
    return noise / np.sqrt(np.mean(np.square(noise)))


def _import_pyroomacoustics():
    try:
        import pyroomacoustics  # noqa: PLC0415
    except ImportError:
        raise UserError("the built-in noise bank needs pyroomacoustics: pip install -e '.[builtin]'") from None
    return pyroomacoustics
