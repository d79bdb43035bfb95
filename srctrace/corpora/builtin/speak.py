"""The corpus: every speaker says every carrier once, in the same words under every in-set source.

Out-of-set sources are dearer, so each speaker says only some of the sentences under them; speakers take turns through
the carriers.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from srctrace.corpora.builtin.espeak import SAMPLE_RATE, VOICE_OF, make_data_folder, require_espeak, synthesise
from srctrace.corpora.builtin.grammars import CARRIERS
from srctrace.corpora.builtin.level import level
from srctrace.corpora.builtin.options import BuiltinOptions
from srctrace.corpora.builtin.resynthesis import RESYNTHESES, require_world
from srctrace.corpora.builtin.text import draw_sentence
from srctrace.corpora.builtin.voices import draw_voice, variant_file
from srctrace.errors import UserError
from srctrace.files import atomic_path

LANGUAGES = tuple(CARRIERS)
KLATT = {"formant": 0, "klatt1": 1, "klatt2": 2, "klatt4": 4, "klatt5": 5}  # source to espeak's glottal source
IN_SET = ("formant", "klatt1", "klatt2", "klatt5")
OUT_OF_SET = ("klatt4", *RESYNTHESES)

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
    rows: list[Row] = []
    with (
        ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool,
        tqdm(total=options.speakers, desc=f"speak {language}", unit="speaker", mininterval=1) as bar,
    ):
        for spoken in pool.map(job, range(options.speakers)):
            rows += spoken
            bar.update()
    return sorted(rows, key=lambda row: row["utterance"])
