"""Mixing, reverberation, and all variants with their LFCCs."""

import os

import numpy as np
import scipy.signal
import torch
import torchaudio
from audiomentations import AddGaussianSNR, ApplyImpulseResponse

from benchmarks.oracle import torchaudio_lfcc
from benchmarks.preprocess import rivals
from benchmarks.preprocess.timing import Times, race, table
from benchmarks.preprocess.work import BATCH, FEW, OPTIONS, RATE, SAMPLES, Work
from srctrace.augment import ADD, REVERB, Mix, add_noise, augment, augment_lfcc, plan_of, reverberate
from srctrace.frontends.lfcc import LfccOptions


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
