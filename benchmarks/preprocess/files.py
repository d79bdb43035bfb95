"""From files to features, and where the time goes."""

from collections.abc import Callable
from pathlib import Path

import librosa
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.oracle import torchaudio_lfcc
from benchmarks.preprocess import rivals
from benchmarks.preprocess.timing import race, table
from benchmarks.preprocess.work import BATCH, RATE, SAMPLES, Work
from srctrace.audio import decode, fit, read, resample, to_int16
from srctrace.augment import augment, augment_lfcc, plan_of
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.grid import VARIANTS
from srctrace.rng import generator


def from_files(work: Work, rounds: int) -> list[str]:
    options = LfccOptions()
    transform = torchaudio_lfcc(options)
    count = len(work.flacs)
    plan = plan_of(work.mixes[:count], work.bank, SAMPLES)

    def by_reference() -> None:
        waves = [librosa.load(path, sr=RATE, res_type="kaiser_best")[0][:SAMPLES] for path in work.flacs]
        rivals.reference(waves, work.mixes[:count], work.files, transform)

    def by_srctrace(decoded: Callable[[Path], np.ndarray]) -> None:
        clips = [fit(decoded(path), SAMPLES, generator(0, path.name)) for path in work.flacs]
        augment_lfcc(np.stack(clips), plan, work.bank, options)

    times = race(
        {
            "reference way": by_reference,
            "srctrace": lambda: by_srctrace(audio_only),
            "srctrace, with the facts about files that an audit needs": lambda: by_srctrace(with_facts),
        },
        count,
        rounds,
        "from files",
    )
    return [
        *["", "## From FLAC files at 24 kHz to five LFCCs", ""],
        "The reference way: librosa with kaiser_best, each noise file loaded whole, torchaudio one at a time. The "
        "facts: digest, level, silence, bandwidth.",
        *["", *table(times, "reference way")],
    ]


def audio_only(path: Path) -> np.ndarray:
    native, rate = read(path)
    return to_int16(resample(native[:, 0], rate))


def with_facts(path: Path) -> np.ndarray:
    return decode(path).samples


def stages(work: Work, rounds: int) -> list[str]:
    """Where the time of an utterance goes, from its file to five LFCCs."""
    options = LfccOptions()
    count = len(work.flacs)
    signals = [read(path)[0][:, 0] for path in work.flacs]
    out = np.empty((BATCH, 1, SAMPLES), np.float32)
    features = np.empty((BATCH, options.n_lfcc, options.frames(SAMPLES)), np.float32)
    plans = {
        variant: plan_of([[variants[index]] for variants in work.mixes], work.bank, SAMPLES)
        for index, variant in enumerate(VARIANTS)
    }
    files = race(
        {
            "FLAC decoding": lambda: [read(path) for path in work.flacs],
            "resampling (soxr HQ)": lambda: [to_int16(resample(signal, 24000)) for signal in signals],
            "all of decode": lambda: [decode(path) for path in work.flacs],
        },
        count,
        max(3, rounds // 3),
        "stages of decoding",
    )
    core = race(
        {
            **{v: lambda p=p: augment(work.int16, p, work.bank, out=out) for v, p in plans.items()},
            "LFCC": lambda: lfcc(work.int16, options, out=features),
        },
        BATCH,
        rounds,
        "stages of the core",
    )
    whole = files["all of decode"].median
    parts = {
        "FLAC decoding": files["FLAC decoding"].median,
        "resampling (soxr HQ)": files["resampling (soxr HQ)"].median,
        "facts about the file": whole - files["FLAC decoding"].median - files["resampling (soxr HQ)"].median,
    }
    for variant in ("noise", "music", "babble", "reverb"):
        parts[f"mixing: {variant}" if variant != "reverb" else "reverberation"] = core[variant].median
    parts["five LFCCs"] = 5 * core["LFCC"].median
    total = sum(parts.values())
    figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
    names = list(parts)[::-1]
    axes.barh(names, [parts[name] * 1e3 for name in names])
    axes.set_xlabel("ms an utterance, one thread")
    axes.set_title("From a FLAC file to the LFCCs of five variants")
    figure.savefig(work.results / "stages.svg", metadata={"Date": None})
    lines = ["", "## Where the time goes", "", "![time by stage](stages.svg)", ""]
    lines += ["| stage | ms an utterance | share |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {seconds * 1e3:.3f} | {seconds / total:.0%} |" for name, seconds in parts.items()]
    decoding = whole / total
    lines += [
        "",
        f"Decoding is {decoding:.0%}: it is the limit where files are read, and is done once, by a rule of its own.",
    ]
    return lines
