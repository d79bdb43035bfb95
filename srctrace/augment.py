"""The augmentation plan: which noise, where, how loud, and what becomes of the speech.

Every utterance has five variants, each made from the clean one: clean, noise (one file, SNR 0-15 dB), music (one file,
5-15 dB), babble (the sum of 3-8 talkers, 13-20 dB) and reverb (one impulse response of unit energy). Each draw is
addressed by (seed, utterance, variant). The bank is partitioned too: no noise file serves two splits.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve
from tqdm import tqdm

from srctrace.audio import SUFFIXES, decode
from srctrace.errors import UserError
from srctrace.rng import generator
from srctrace.store import Store, open_store, write_ragged_store
from srctrace.tables import read_table
from srctrace.waves import map_ordered

LISTING_COLUMNS = ("category", "file")
BANK_COLUMNS = ("category", "file", "split")
CATEGORIES = ("noise", "music", "speech", "rir")
CATEGORY_OF = {"noise": "noise", "music": "music", "babble": "speech", "reverb": "rir"}
SNR = {"noise": (0.0, 15.0), "music": (5.0, 15.0), "babble": (13.0, 20.0)}  # dB, drawn uniformly
TALKERS = (3, 8)  # of babble, drawn uniformly, both ends included
SHARES = (("train", 0.6), ("dev", 0.15), ("eval", 0.25))  # of the files of a category


@dataclass(frozen=True)
class Plan:
    """How one variant of one utterance is made. Indices are rows of the bank."""

    variant: str
    files: tuple[int, ...] = ()
    offsets: tuple[float, ...] = ()  # where each file starts, as a share of its length
    snr: float = 0.0  # dB


@dataclass(frozen=True)
class Bank:
    """Noise, music, speech and impulse responses, decoded; `members[category, split]` are indices of records."""

    store: Store
    members: dict[tuple[str, str], list[int]]

    def signal(self, index: int) -> np.ndarray:
        """Record `index`: int16, mono, 16 kHz."""
        return self.store.record(index)


def pack_bank(
    musan: str | os.PathLike,
    rirs: str | os.PathLike,
    out: str | os.PathLike,
    seed: int,
    threads: int = 1,
    listing: str | os.PathLike | None = None,
):
    """Decode a tree of MUSAN (`{noise,music,speech}/*/*.wav`) and one of impulse responses into one ragged store.

    Of RIRS_NOISES as released, the recordings of noise are left out, and of an array's responses the first channel is
    taken: the mean of several microphones is no room's response.

    Args:
        listing: a table of `category` and `file`, relative to the category's folder: all that must be there.

    Raises:
        UserError: a category has too few files to give each split its own, a listed file is not there, or a file
            cannot be decoded.
    """
    files = []
    for category in CATEGORIES:
        root = Path(rirs) if category == "rir" else Path(musan) / category
        found = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
        if category == "rir":
            found = [path for path in found if not _is_noise(path.relative_to(root))]
        least = 3 * TALKERS[0] if category == "speech" else 3
        if len(found) < least:
            raise UserError(f"{root}: {len(found)} audio files, but train, dev and eval need {least} between them")
        splits = _deal(len(found), seed, category, least // 3)
        files += [(category, root, path, split) for path, split in zip(found, splits, strict=True)]

    if listing is not None:
        _require_listed(listing, {(category, path.relative_to(root).as_posix()) for category, root, path, _ in files})

    def pack(entry: tuple) -> tuple:
        category, root, path, split = entry
        row = {"category": category, "file": path.relative_to(root).as_posix(), "split": split}
        return row, decode(path, channel=0 if category == "rir" else None).samples

    records = tqdm(map_ordered(pack, files, threads), total=len(files), desc="noise bank", unit="file", mininterval=1)
    write_ragged_store(out, BANK_COLUMNS, records)


def open_bank(path: str | os.PathLike) -> Bank:
    """Open what `pack_bank` wrote."""
    store = open_store(path, BANK_COLUMNS)
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(store.rows):
        members[row["category"], row["split"]].append(index)
    return Bank(store, dict(members))


def draw(bank: Bank, utterance: str, variant: str, split: str, seed: int) -> Plan:
    """The plan of one variant of one utterance, with files of the utterance's split only."""
    if variant == "clean":
        return Plan(variant)
    rng = generator(seed, utterance, variant, "plan")
    candidates = bank.members[CATEGORY_OF[variant], split]
    count = min(int(rng.integers(TALKERS[0], TALKERS[1] + 1)), len(candidates)) if variant == "babble" else 1
    files = tuple(int(index) for index in rng.choice(candidates, count, replace=False))
    if variant == "reverb":
        return Plan(variant, files)
    return Plan(variant, files, tuple(float(share) for share in rng.random(count)), float(rng.uniform(*SNR[variant])))


def apply(plan: Plan, clean: np.ndarray, bank: Bank) -> np.ndarray:
    """One variant of an utterance: int16 `(samples,)` to float32 `(samples,)`, in units of full scale, not clipped.

    Silent speech stays silent, and silent noise adds nothing: neither has a gain that would give the SNR.
    """
    speech = clean.astype(np.float32) / np.float32(32768)
    if plan.variant == "clean":
        return speech
    if plan.variant == "reverb":
        return reverberate(speech, bank.signal(plan.files[0]).astype(np.float32))
    noise = np.zeros(len(speech), np.float64)
    for index, share in zip(plan.files, plan.offsets, strict=True):
        stretch = _stretch(bank.signal(index), share, len(speech)).astype(np.float64)
        power = np.mean(np.square(stretch))
        if power > 0:  # talkers are equally loud before they are summed
            noise += stretch / np.sqrt(power)
    return mix(speech, noise, plan.snr)


def mix(speech: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """`speech` plus `noise` at exactly `snr` dB: the ratio of their mean squares over these samples."""
    speech_power = np.mean(np.square(speech, dtype=np.float64))
    noise_power = np.mean(np.square(noise, dtype=np.float64))
    if speech_power == 0 or noise_power == 0:
        return speech
    gain = np.sqrt(speech_power / noise_power * 10 ** (-snr / 10))
    return (speech + gain * noise).astype(np.float32)


def reverberate(speech: np.ndarray, response: np.ndarray) -> np.ndarray:
    """`speech` in a room: convolved with the impulse response at unit energy, and cut to its own length."""
    energy = np.sum(np.square(response, dtype=np.float64))
    if energy == 0:
        return speech
    unit = (response / np.sqrt(energy)).astype(np.float32)
    return fftconvolve(speech, unit)[: len(speech)].astype(np.float32)


def variants_of(
    clean: np.ndarray, utterance: str, split: str, bank: Bank, variants: Sequence[str], seed: int
) -> Iterator:
    """The variants of one utterance, in order: float32 `(samples,)` each."""
    for variant in variants:
        yield apply(draw(bank, utterance, variant, split, seed), clean, bank)


def _stretch(signal: np.ndarray, share: float, length: int) -> np.ndarray:
    """`length` samples of `signal`, from a start given as a share of what there is to choose from; wraps if short."""
    if len(signal) <= length:
        return np.resize(np.roll(signal, -int(share * len(signal))), length)
    start = int(share * (len(signal) - length + 1))
    return signal[start : start + length]


def _is_noise(path: Path) -> bool:
    """Whether a file of RIRS_NOISES is a recording of noise and no impulse response, by its released name."""
    return "pointsource_noises" in path.parts or (
        "real_rirs_isotropic_noises" in path.parts and "noise" in path.name.lower()
    )


def _require_listed(listing: str | os.PathLike, found: set[tuple[str, str]]) -> None:
    listed = {(row["category"], row["file"]) for row in read_table(listing, LISTING_COLUMNS)}
    for category, file in sorted(listed ^ found):
        wrong = "is listed but not there" if (category, file) in listed else "is there but not listed"
        raise UserError(f"{listing}: {category} file {file!r} {wrong}: delete {listing} and run again to make it anew")


def _deal(count: int, seed: int, category: str, least: int) -> list[str]:
    """A split for each of `count` files: drawn, by `SHARES`, with at least `least` in each."""
    sizes = {split: max(least, round(share * count)) for split, share in SHARES[1:]}
    names = [split for split, size in sizes.items() for _ in range(size)]
    names += ["train"] * (count - len(names))
    order = generator(seed, "bank", category).permutation(count)
    splits = [""] * count
    for name, position in zip(names, order, strict=True):
        splits[position] = name
    return splits
