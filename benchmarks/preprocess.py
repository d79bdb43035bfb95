"""The preprocessing extension against other ways to the same features: `make bench`.

Prints tables and writes `benchmarks/results/preprocess.md` with two plots. Every comparison is made within one run, in
turns. One thread everywhere but where threads are counted; memory is not given back to the system between calls (which
helps torchaudio most). With `--quick`, fewer rounds, for a look.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import librosa
import matplotlib.pyplot as plt
import numpy as np
import scipy.signal
import soundfile
import torch
import torchaudio
from audiomentations import AddGaussianSNR, ApplyImpulseResponse

from benchmarks import rivals
from benchmarks.oracle import torchaudio_lfcc
from benchmarks.timing import Times, race, table
from srctrace import _C, provenance
from srctrace.audio import decode, fit, read, resample, to_int16
from srctrace.augment import ADD, REVERB, Mix, add_noise, augment, augment_lfcc, draw, plan_of, reverberate
from srctrace.bank import Bank
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.rng import generator

TUNED = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000", "OMP_NUM_THREADS": "1"}
RESULTS = Path(__file__).parent / "results"
RATE, SAMPLES, BATCH = 16000, 64000, 32
FEW = 4  # utterances for those that are slow
OPTIONS = {
    "320/160": LfccOptions(),
    "512/400/160, centred": LfccOptions(n_fft=512, win_length=400, center=True),
}
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", choices=["lfcc", "memory"], help="print one part as JSON: this script calls itself")
    arguments = parser.parse_args()
    if not TUNED.items() <= os.environ.items():  # they are read when a process starts
        sys.exit("run `make bench`: it sets " + " ".join(f"{name}={value}" for name, value in TUNED.items()))
    plt.switch_backend("svg")
    torch.set_num_threads(1)
    rounds = 5 if arguments.quick else 25
    if arguments.only:
        print(json.dumps(lfcc_alone(rounds) if arguments.only == "lfcc" else peaks(400 if arguments.quick else 3200)))
        return
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder))
        lines = [
            *heading(),
            *by_instruction_set(arguments.quick),
            *mixing(work, rounds),
            *reverb(work, rounds),
            *five_variants(work, rounds),
            *from_files(work, max(3, rounds // 3)),
            *stages(work, rounds),
            *inside_lfcc(),
            *thread_scaling(work, rounds),
            *batch_scaling(work, rounds),
            *memory(arguments.quick),
        ]
    text = "\n".join(lines) + "\n"
    (RESULTS / "preprocess.md").write_text(text)
    print(text)


def heading() -> list[str]:
    machine = provenance.machine()
    versions = provenance.versions()
    return [
        "# Preprocessing",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; torch {versions['torch']}, NumPy "
        f"{versions['numpy']}, SciPy {versions['scipy']}. By `make bench`, at {provenance.git_commit()[:12]}.",
        "",
        "Utterances of 4 s at 16 kHz. Times are medians over rounds in which the rivals take turns, on one thread; "
        "the spread is half of the interquartile range. Memory is not given back to the system between calls. Noise "
        "files are as long as MUSAN's are on average: noise 23 s, music 232 s, speech 510 s.",
    ]


class Work:
    """Speech-like utterances, noise as files and in memory, and a plan for them."""

    def __init__(self, folder: Path):
        random = np.random.default_rng(0)
        self.int16 = np.stack([modulated_noise(random, SAMPLES) for _ in range(BATCH)])
        self.float32 = self.int16.astype(np.float32) / np.float32(32768)
        self.tensor = torch.from_numpy(self.float32)
        signals, self.files = [], []
        members: dict[tuple[str, str], list[int]] = {}
        for category, count, seconds in (("noise", 8, 23), ("music", 4, 232), ("speech", 8, 510), ("rir", 8, 0.7)):
            for _ in range(count):
                signal = modulated_noise(random, int(seconds * RATE))
                if category == "rir":
                    signal = (signal * np.exp(-np.arange(len(signal)) / (0.1 * RATE))).astype(np.int16)
                members.setdefault((category, "train"), []).append(len(signals))
                path = folder / f"{category} {len(signals)}.wav"
                soundfile.write(path, signal, RATE)
                signals.append(signal)
                self.files.append(path)
        self.bank = Bank(np.concatenate(signals), np.cumsum([0, *map(len, signals)]), members)
        variants = ("clean", "noise", "music", "babble", "reverb")
        self.mixes = [[draw(self.bank, f"u{i}", variant, "train", 0) for variant in variants] for i in range(BATCH)]
        self.plan = plan_of(self.mixes, self.bank, SAMPLES)
        self.flacs = [folder / f"{i}.flac" for i in range(8)]
        for path in self.flacs:
            soundfile.write(path, modulated_noise(random, 24000 * 4), 24000)


def modulated_noise(random: np.random.Generator, samples: int) -> np.ndarray:
    """Noise with the slope and the pauses of speech, int16."""
    noise = scipy.signal.lfilter([1.0], [1.0, -0.9], random.normal(0, 1000, samples))
    return (noise * np.abs(np.sin(np.arange(samples) / 4000))).astype(np.int16)


def lfcc_alone(rounds: int) -> dict:
    """Seconds of every round, by options and rival, with the instruction set of this process."""
    random = np.random.default_rng(0)
    int16 = np.stack([modulated_noise(random, SAMPLES) for _ in range(BATCH)])
    float32 = int16.astype(np.float32) / np.float32(32768)
    tensor = torch.from_numpy(float32)
    results = {}
    for name, options in OPTIONS.items():
        transform, with_scipy = torchaudio_lfcc(options), rivals.ScipyLfcc(options)
        out = np.empty((BATCH, options.n_lfcc, options.frames(SAMPLES)), np.float32)
        times = race(
            {
                "torchaudio, one at a time": lambda t=transform: [t(wave) for wave in tensor],
                "torchaudio, batch 32": lambda t=transform: t(tensor),
                "NumPy and SciPy, batch 32": lambda s=with_scipy: s(float32),
                "librosa and SciPy": lambda s=with_scipy: rivals.librosa_lfcc(float32, s),
                "kaldi-native-fbank (80 mel bands, no cepstrum)": lambda o=options: (
                    rivals.kaldi_fbank(float32[:FEW], o) * 8
                ),
                "srctrace, int16, batch 32": lambda o=options, out=out: lfcc(int16, o, out=out),
                "srctrace, float32, batch 32": lambda o=options, out=out: lfcc(float32, o, out=out),
                "srctrace, int16, one at a time": lambda o=options: [lfcc(wave[None], o) for wave in int16],
            },
            BATCH,
            rounds,
            f"LFCC {name}",
        )
        kaldi = times["kaldi-native-fbank (80 mel bands, no cepstrum)"].seconds
        kaldi *= BATCH / FEW  # it is slow: a few will do
        results[name] = {rival: measured.seconds.tolist() for rival, measured in times.items()}
    return {"instruction set": _C.instruction_set(), "times": results}


def itself(part: str, quick: bool, environment: Mapping[str, str]) -> Any:
    """What one part gives in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.preprocess", "--only", part, *(["--quick"] if quick else [])]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def by_instruction_set(quick: bool) -> list[str]:
    lines = ["", "## LFCC alone", ""]
    lines += ["The best of torchaudio's ways in the same run is what the ratio is taken against."]
    for simd in _C.instruction_sets():
        for name, rounds in itself("lfcc", quick, {"SRCTRACE_SIMD": simd})["times"].items():
            times = {rival: Times(np.array(seconds)) for rival, seconds in rounds.items()}
            best = min((rival for rival in times if rival.startswith("torchaudio")), key=lambda r: times[r].median)
            lines += ["", f"### {name}, {simd}", "", *table(times, best)]
    return lines


def mixing(work: Work, rounds: int) -> list[str]:
    noises = [work.bank.signal(index % 8) for index in range(BATCH)]
    snrs = np.linspace(0, 15, BATCH)
    mixes = [Mix(ADD, (index % 8,), (0.0,), snrs[index]) for index in range(BATCH)]
    plan = plan_of([[mix] for mix in mixes], work.bank, SAMPLES)
    floats = torch.from_numpy(np.stack([noise[:SAMPLES] for noise in noises]).astype(np.float32))
    gaussian = AddGaussianSNR(min_snr_db=0, max_snr_db=15, p=1.0)
    out = np.empty_like(work.float32)
    times = race(
        {
            "NumPy": lambda: [
                rivals.numpy_mix(wave, mix, work.bank) for wave, mix in zip(work.float32, mixes, strict=True)
            ],
            "torchaudio add_noise (noise as float32)": lambda: torchaudio.functional.add_noise(
                work.tensor, floats, torch.from_numpy(snrs)
            ),
            "audiomentations AddGaussianSNR (makes its noise)": lambda: [gaussian(wave, RATE) for wave in work.float32],
            "srctrace, noise as arrays": lambda: add_noise(work.int16, noises, snrs, out=out),
            "srctrace, noise in a bank": lambda: augment(work.int16, plan, work.bank, out=out[:, None]),
        },
        BATCH,
        rounds,
        "mixing",
    )
    return ["", "## Mixing alone: one noise at an SNR", "", *table(times, "NumPy")]


def reverb(work: Work, rounds: int) -> list[str]:
    records = work.bank.members["rir", "train"]
    plan = plan_of([[Mix(REVERB, (records[i % len(records)],))] for i in range(BATCH)], work.bank, SAMPLES)
    units = []
    for index in range(BATCH):
        response = work.bank.signal(records[index % len(records)]).astype(np.float32)
        units.append(response / np.linalg.norm(response))
    files = [str(work.files[record]) for record in records]
    impulse = ApplyImpulseResponse(files, p=1.0, leave_length_unchanged=True)
    pair = torch.from_numpy(np.stack(units))
    out = np.empty((BATCH, 1, SAMPLES), np.float32)
    times = race(
        {
            "SciPy fftconvolve": lambda: [
                scipy.signal.fftconvolve(wave, unit)[:SAMPLES] for wave, unit in zip(work.float32, units, strict=True)
            ],
            "SciPy oaconvolve": lambda: [
                scipy.signal.oaconvolve(wave, unit)[:SAMPLES] for wave, unit in zip(work.float32, units, strict=True)
            ],
            "torchaudio fftconvolve": lambda: torchaudio.functional.fftconvolve(work.tensor[:FEW], pair[:FEW]),
            "audiomentations ApplyImpulseResponse": lambda: [impulse(wave, RATE) for wave in work.float32],
            "srctrace, responses not seen before": lambda: reverberate(
                work.int16, [work.bank.signal(records[i % len(records)]) for i in range(BATCH)]
            ),
            "srctrace, spectra kept": lambda: augment(work.int16, plan, work.bank, out=out),
        },
        BATCH,
        rounds,
        "reverb",
    )
    times["torchaudio fftconvolve"].seconds[:] *= BATCH / FEW
    return ["", "## Reverberation alone: 0.7 s impulse responses", "", *table(times, "SciPy fftconvolve")]


def five_variants(work: Work, rounds: int) -> list[str]:
    lines = ["", "## Five variants and their LFCCs", ""]
    lines += ["From decoded audio to features: clean, noise, music, babble of 3 to 8 talkers, reverberation."]
    for name, options in OPTIONS.items():
        transform = torchaudio_lfcc(options)
        out = np.empty((BATCH, 5, options.n_lfcc, options.frames(SAMPLES)), np.float32)
        times = race(
            {
                "reference way: noise files loaded whole": lambda t=transform: rivals.reference(
                    work.float32[:FEW], work.mixes[:FEW], work.files, t
                ),
                "best Python: bank in memory, SciPy, torchaudio": lambda t=transform: rivals.best_python(
                    work.int16[:FEW], work.mixes[:FEW], work.bank, t
                ),
                "srctrace": lambda o=options, out=out: augment_lfcc(work.int16, work.plan, work.bank, o, out=out),
            },
            FEW,
            rounds,
            f"five variants {name}",
        )
        times["srctrace"].seconds[:] *= FEW / BATCH
        lines += ["", f"### {name}", "", *table(times, "best Python: bank in memory, SciPy, torchaudio")]
        lines += ["", f"Against the reference way: {ratio(times, 'reference way: noise files loaded whole'):.0f}."]
    return lines


def ratio(times: dict[str, Times], base: str, name: str = "srctrace") -> float:
    return times[base].median / times[name].median


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
        for index, variant in enumerate(("clean", "noise", "music", "babble", "reverb"))
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
    figure.savefig(RESULTS / "stages.svg", metadata={"Date": None})
    lines = ["", "## Where the time goes", "", "![time by stage](stages.svg)", ""]
    lines += ["| stage | ms an utterance | share |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {seconds * 1e3:.3f} | {seconds / total:.0%} |" for name, seconds in parts.items()]
    decoding = whole / total
    lines += [
        "",
        f"Decoding is {decoding:.0%}: it is the limit where files are read, and is done once, by a rule of its own.",
    ]
    return lines


def inside_lfcc() -> list[str]:
    """Shares of the parts of an LFCC, from where a profiler finds the processor."""
    lines = ["", "### Within an LFCC", ""]
    if shutil.which("perf") is None:
        return [*lines, "Not measured: Linux perf is not there."]
    names = {
        "TransposeSamples": "loading: samples of neighbouring frames side by side",
        "TransposeEdge": "loading at the ends of an utterance",
        "TileEnergies": "window, Fourier transform, power",
        "LogEnergies": "filters and logarithms",
        "CosineTransform": "cosine transform, storing",
    }
    loop = (
        "import numpy as n; from srctrace.frontends.lfcc import *; o = LfccOptions({})\n"
        "w = n.random.default_rng(0).integers(-9000, 9000, (32, 64000)).astype(n.int16)\n"
        "out = n.empty((32, 80, o.frames(64000)), n.float32)\n"
        "for _ in range(400): lfcc(w, o, out=out)"
    )
    shares: dict[str, list[float]] = {part: [] for part in names}
    for arguments in ("", "n_fft=512, win_length=400, center=True"):
        with tempfile.NamedTemporaryFile() as data:
            record = [
                "perf",
                "record",
                "-q",
                "-F",
                "5000",
                "-o",
                data.name,
                sys.executable,
                "-c",
                loop.format(arguments),
            ]
            report = ["perf", "report", "-i", data.name, "--stdio", "--no-children", "-F", "overhead,symbol"]
            if subprocess.run(record, capture_output=True, check=False).returncode:
                return [*lines, "Not measured: perf may not be used here."]
            text = subprocess.run(report, capture_output=True, text=True, check=True).stdout
        found = dict.fromkeys(names, 0.0)
        for line in text.splitlines():
            for part in names:
                if f"::{part}" in line or f" {part}" in line:
                    found[part] += float(line.split("%")[0])
                    break
        for part, share in found.items():
            shares[part].append(share / sum(found.values()))
    lines += [f"| part | {' | '.join(OPTIONS)} |", "| --- | ---: | ---: |"]
    lines += [f"| {names[part]} | {a:.0%} | {b:.0%} |" for part, (a, b) in shares.items()]
    lines += [
        "",
        "No part stands out. Loads and stores of whole vectors bind before arithmetic does: each pass of a transform "
        "reads and writes all of a tile of frames, which with the longest vectors is about as large as the "
        "first-level cache.",
    ]
    return lines


def thread_scaling(work: Work, rounds: int) -> list[str]:
    options = LfccOptions()
    out = np.empty((BATCH, 5, options.n_lfcc, options.frames(SAMPLES)), np.float32)
    counts = sorted({1, 2, *(2**i for i in range(2, 8) if 2**i <= (os.cpu_count() or 1)), os.cpu_count() or 1})
    times = race(
        {
            str(threads): lambda t=threads: augment_lfcc(work.int16, work.plan, work.bank, options, t, out)
            for threads in counts
            if threads <= (os.cpu_count() or 1)
        },
        BATCH,
        rounds,
        "threads",
    )
    return ["", "## Threads: five variants and their LFCCs", "", *table(times, "1", "threads")]


def batch_scaling(work: Work, rounds: int) -> list[str]:
    options = LfccOptions()
    transform = torchaudio_lfcc(options)
    waves = np.concatenate([work.int16] * (max(BATCHES) // BATCH))
    tensor = torch.from_numpy(np.concatenate([work.float32] * (max(BATCHES) // BATCH)))
    ours, theirs = [], []
    for batch in BATCHES:
        out = np.empty((batch, options.n_lfcc, options.frames(SAMPLES)), np.float32)
        times = race(
            {
                "torchaudio": lambda b=batch: transform(tensor[:b]),
                "srctrace": lambda b=batch, out=out: lfcc(waves[:b], options, out=out),
            },
            batch,
            max(3, rounds // 2),
            f"batch {batch}",
        )
        ours.append(1 / times["srctrace"].median)
        theirs.append(1 / times["torchaudio"].median)
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    axes.loglog(BATCHES, ours, "o-", base=2, label=f"srctrace ({_C.instruction_set()})")
    axes.loglog(BATCHES, theirs, "s-", base=2, label="torchaudio")
    axes.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
    axes.set_xlabel("utterances in a call")
    axes.set_yscale("log")
    axes.set_ylabel("utterances a second, one thread")
    axes.set_title("LFCC of 4 s at 16 kHz")
    axes.legend()
    figure.savefig(RESULTS / "batch.svg", metadata={"Date": None})
    lines = ["", "## Batch size: LFCC, utterances a second", "", "![throughput against batch size](batch.svg)", ""]
    lines += ["| batch | torchaudio | srctrace | ratio |", "| ---: | ---: | ---: | ---: |"]
    for batch, a, b in zip(BATCHES, theirs, ours, strict=True):
        lines.append(f"| {batch} | {a:.0f} | {b:.0f} | {b / a:.1f} |")
    return lines


def memory(quick: bool) -> list[str]:
    lines = ["", "## Memory", ""]
    lines += [
        "The largest memory of a process that makes five variants and their LFCCs, on two threads, in batches of 32,"
    ]
    lines += [
        "every utterance with noise and an impulse response of its own. It ends when all spectra that are kept are."
    ]
    lines += ["", "| utterances | MiB |", "| ---: | ---: |"]
    return lines + [f"| {utterances} | {peak:.0f} |" for utterances, peak in itself("memory", quick, {})]


def peaks(largest: int) -> list[tuple[int, float]]:
    """The process's largest memory in MiB, by the number of utterances done."""
    random = np.random.default_rng(0)
    speech = modulated_noise(random, 20 * SAMPLES)
    lengths = {"noise": [200_000] * 20, "music": [500_000] * 8, "speech": [500_000] * 16}
    lengths["rir"] = random.integers(2000, 16000, 400).tolist()
    members, offsets = {}, [0]
    for category, ours in lengths.items():
        members[category, "train"] = list(range(len(offsets) - 1, len(offsets) - 1 + len(ours)))
        for length in ours:
            offsets.append(offsets[-1] + length)
    bank = Bank(random.integers(-3000, 3000, offsets[-1], np.int16), np.array(offsets), members)
    options = LfccOptions()
    out = np.empty((BATCH, 5, options.n_lfcc, options.frames(SAMPLES)), np.float32)
    variants = ("clean", "noise", "music", "babble", "reverb")
    measured, done = [], 0
    for utterances in (0, largest // 8, largest // 4, largest // 2, largest):
        while done < utterances:
            mixes = [[draw(bank, f"u{done + i}", variant, "train", 0) for variant in variants] for i in range(BATCH)]
            starts = random.integers(0, len(speech) - SAMPLES, BATCH)
            waves = np.stack([speech[start : start + SAMPLES] for start in starts])
            augment_lfcc(waves, plan_of(mixes, bank, SAMPLES), bank, options, 2, out)
            done += BATCH
        # Not ru_maxrss: that begins with what the parent had.
        status = Path("/proc/self/status").read_text()
        measured.append((done, int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024))
    return measured


if __name__ == "__main__":
    main()
