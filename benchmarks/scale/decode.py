"""Whether decoding keeps two threads busy, and its memory flat."""

import os
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.scale.step import run
from srctrace.manifest import COLUMNS, write_manifest

ROOT = Path(__file__).parents[2]
FILES, DISTINCT = 10_000, 500
RATE = 24_000


def decode(home: Path) -> list[str]:
    rng = np.random.default_rng(0)
    for number in range(DISTINCT):
        seconds = rng.uniform(2, 8)
        wave = 0.1 * rng.standard_normal(round(seconds * RATE))
        soundfile.write(home / f"{number}.wav", wave, RATE)
    rows = []
    for number in range(FILES):
        path = f"u{number:05d}.wav"
        os.link(home / f"{number % DISTINCT}.wav", home / path)
        rows.append(
            dict.fromkeys(COLUMNS, "") | {"utterance": path[:-4], "path": path, "language": "en", "source": "a"}
        )
    write_manifest(home / "manifest.tsv", rows)
    command = ["-m", "srctrace", "decode", "--manifest", home / "manifest.tsv", "--language", "en", "--root", home]
    taken = run(*command, "--threads", 2, "--out", home / "en.npy", cwd=ROOT)
    thirds = [max(m for t, m in taken.memory if t <= taken.seconds * share) for share in (1 / 4, 1 / 2, 1)]
    return [
        "## Decoding",
        "",
        f"`srctrace decode --threads 2` of {FILES} wav files of 2 to 8 s at 24 kHz: {taken.seconds:.0f} s, "
        f"{taken.cpu / taken.seconds:.2f} cores busy; {' MiB, '.join(f'{m:.0f}' for m in thirds)} MiB at most until a "
        "quarter, a half and the end.",
    ]
