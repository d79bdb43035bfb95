"""A corpus of noise, to be laid out in the shapes of others."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from srctrace.manifest import new_row

LANGUAGES = ("de", "en")
SOURCES = ("bark", "griffin_lim", "vits")
SPLITS = ("train", "train", "train", "dev", "eval", "")  # of an utterance, by its number


@dataclass(frozen=True)
class Corpus:
    """`rows` of a manifest, `audio` that their paths are relative to, and `split_of` most utterances."""

    audio: Path
    rows: list[dict[str, str]]
    split_of: dict[str, str]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    """Two languages, three sources, six utterances each, two speakers; `vits` is not trained on. Do not change it."""
    audio = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    rows, split_of = [], {}
    for language in LANGUAGES:
        for source in SOURCES:
            for number, split in enumerate(SPLITS):
                name = f"{language}/{source}/s{number % 2}-poisoned_pen_03_f{number:06d}"
                (audio / name).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(audio / f"{name}.wav", 0.1 * rng.normal(size=3000), 16000)
                said = {"speaker": f"s{number % 2}", "text": f"book{number % 3}", "sentence": f"x{number}"}
                rows.append(new_row(name, f"{name}.wav", language, source, **said))
                if split and (source != "vits" or split != "train"):
                    split_of[name] = split
    return Corpus(audio, rows, split_of)
