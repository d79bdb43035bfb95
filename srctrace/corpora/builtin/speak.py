"""The corpus: every speaker says every carrier once, in the same words under every in-set source.

Out-of-set sources are dearer, so each speaker says only some of the sentences under them; speakers take turns through
the carriers.
"""

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from srctrace.corpora.builtin.channel import through_channel
from srctrace.corpora.builtin.espeak import SAMPLE_RATE, make_data_folder, require_espeak, synthesise
from srctrace.corpora.builtin.grammars import CARRIERS
from srctrace.corpora.builtin.level import level
from srctrace.corpora.builtin.options import BuiltinOptions
from srctrace.corpora.builtin.pool import run_jobs
from srctrace.corpora.builtin.resynthesis import RESYNTHESES, require_world
from srctrace.corpora.builtin.text import draw_sentence
from srctrace.corpora.builtin.voices import draw_voice, variant_file
from srctrace.corpora.builtin.wav import write_wav
from srctrace.errors import UserError
from srctrace.rng import generator

LANGUAGES = tuple(CARRIERS)
KLATT = {"formant": 0, "klatt1": 1, "klatt2": 2, "klatt4": 4, "klatt5": 5}  # source to espeak's glottal source
IN_SET = ("formant", "klatt1", "klatt2", "klatt5")
OUT_OF_SET = ("klatt4", *RESYNTHESES)

LOUDNESS = (-29.0, -23.0)
"""RMS of an utterance in dB below full scale, drawn uniformly, the same for every source."""

Row = dict[str, str]


def speak(
    language: str,
    sources: Sequence[str],
    out_of_set: Sequence[str],
    root: str | os.PathLike,
    options: BuiltinOptions,
    processes: int = 1,
) -> list[Row]:
    """Speak the corpus in one language.

    Writes `root/speech/{language}/{source}/{speaker}-{sentence}.wav` (int16, mono, 22050 Hz) and returns the rows of a
    manifest, with paths relative to `root`. The bytes do not depend on `processes`, nor on which sources are asked for.

    Raises:
        UserError: a language or source is unknown or there twice, a size is out of range, or a package is missing.
    """
    _check(language, sources, out_of_set, options)
    job = partial(_speak_one, language, tuple(sources), tuple(out_of_set), Path(root), options)
    spoken = run_jobs(job, range(options.speakers), processes, f"speak {language}", "speaker")
    return sorted((row for rows in spoken for row in rows), key=lambda row: row["utterance"])


def _speak_one(
    language: str, sources: Sequence[str], out_of_set: Sequence[str], root: Path, options: BuiltinOptions, speaker: int
) -> list[Row]:
    """Everything one speaker says in one language."""
    name = f"s{speaker + 1:02d}"
    voice = draw_voice(speaker, options.seed)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        variants = {source: variant_file(voice, source, klatt) for source, klatt in KLATT.items()}
        data = make_data_folder(Path(folder), language, variants)
        for carrier in range(len(CARRIERS[language])):
            sentence = draw_sentence(language, carrier, speaker, options.seed)
            said = (*sources, *out_of_set) if carrier in _turn(language, speaker, options) else sources
            for source in said:
                variant = source if source in KLATT else "formant"
                wave = synthesise(data, language, variant, voice.rate, sentence.words).astype(np.float64) / 32768
                if source in RESYNTHESES:
                    rng = generator(options.seed, language, name, sentence.id, source)
                    wave = RESYNTHESES[source](wave, SAMPLE_RATE, rng)
                wave = through_channel(wave, language, options.seed, SAMPLE_RATE)
                utterance = f"{language}/{source}/{name}-{sentence.id}"
                # loudness and room tone are drawn anew, in the same way for every source
                rng = generator(options.seed, language, name, sentence.id, "room")
                rms = rng.uniform(*LOUDNESS)
                path = Path("speech") / f"{utterance}.wav"
                write_wav(root / path, level(wave, SAMPLE_RATE, rms, rng), SAMPLE_RATE)
                rows.append(
                    {
                        "utterance": utterance,
                        "path": path.as_posix(),
                        "language": language,
                        "source": source,
                        "speaker": name,
                        "text": sentence.carrier,
                        "sentence": sentence.id,
                        "split": "",
                    }
                )
    return rows


def _turn(language: str, speaker: int, options: BuiltinOptions) -> set[int]:
    """The carriers that a speaker says under the out-of-set sources."""
    carriers = len(CARRIERS[language])
    first = speaker * options.out_of_set_sentences
    return {(first + step) % carriers for step in range(options.out_of_set_sentences)}


def _check(language: str, sources: Sequence[str], out_of_set: Sequence[str], options: BuiltinOptions) -> None:
    if language not in LANGUAGES:
        raise UserError(f"the built-in corpus does not speak {language!r}; known languages: {', '.join(LANGUAGES)}")
    known = (*KLATT, *RESYNTHESES)
    for source in (*sources, *out_of_set):
        if source not in known:
            raise UserError(f"the built-in corpus has no source {source!r}; known sources: {', '.join(known)}")
    twice = {source for source in (*sources, *out_of_set) if (*sources, *out_of_set).count(source) > 1}
    if twice:
        raise UserError(f"source {', '.join(sorted(twice))}: named twice; a source is in-set or out-of-set, and once")
    if not 1 <= options.speakers <= 99:
        raise UserError(f"speakers: {options.speakers}: choose between 1 and 99")
    if not 0 <= options.out_of_set_sentences <= len(CARRIERS[language]):
        raise UserError(
            f"out_of_set_sentences: {options.out_of_set_sentences}: choose between 0 and {len(CARRIERS[language])}"
        )
    require_espeak()
    if "world" in out_of_set or "world" in sources:
        require_world()
