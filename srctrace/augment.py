"""The augmentation plan: which noise, where, how loud, and what becomes of the speech.

Every utterance has five variants, each made from the clean one: clean, noise (one file, SNR 0-15 dB), music (one file,
5-15 dB), babble (the sum of 3-8 talkers, 13-20 dB) and reverb (one impulse response of unit energy). Each draw is
addressed by (seed, utterance, variant).

The C++ core does the mixing. Speech and noise are mixed at exactly the SNR that was drawn: the ratio of their mean
squares over the utterance. The talkers of a babble are made equally loud, and then summed. What is shorter than the
utterance is repeated. Silent speech stays silent, and silent noise adds nothing: neither has a gain that would give the
SNR. Nothing is clipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import index

import numpy as np

from srctrace import _C
from srctrace.arrays import check_samples, gpu_for, like, outputs_of, refusing, samples_of
from srctrace.bank import Bank
from srctrace.errors import UserError
from srctrace.frontends.lfcc import LfccOptions
from srctrace.rng import uniforms

CATEGORY_OF = {"noise": "noise", "music": "music", "babble": "speech", "reverb": "rir"}
SNR = {"noise": (0.0, 15.0), "music": (5.0, 15.0), "babble": (13.0, 20.0)}  # dB, drawn uniformly
TALKERS = (3, 8)  # of babble, drawn uniformly, both ends included
CLEAN, ADD, REVERB = 0, 1, 2  # MixKind in csrc/mix_plan.h
PLAN_TYPES = {"kinds": np.uint8, "snrs": np.float64, "firsts": np.int64, "records": np.int64, "offsets": np.int64}


@dataclass(frozen=True)
class Mix:
    """How one variant of one utterance is made. Records are of the bank."""

    kind: int = CLEAN
    records: tuple[int, ...] = ()
    places: tuple[float, ...] = ()  # of each record of `ADD`, from 0 to 1: which of the starts there are to choose from
    snr: float = 0.0  # dB


@dataclass(frozen=True)
class Plan:
    """The mixes of a batch of utterances, as arrays.

    Mix `m`, counted through `(batch, variants)`, has the parts `firsts[m]` to `firsts[m + 1] - 1`.
    """

    kinds: np.ndarray  # (batch, variants) uint8
    snrs: np.ndarray  # (batch, variants) float64, dB
    firsts: np.ndarray  # (batch * variants + 1,) int64
    records: np.ndarray  # (parts,) int64
    offsets: np.ndarray  # (parts,) int64: the first sample; after the record's last one comes its first

    def __post_init__(self):
        """Make contiguous arrays of these types of what can be made so without loss.

        Raises:
            UserError: something is of another type or shape.
        """
        for name, kind in PLAN_TYPES.items():
            array = np.asarray(getattr(self, name))
            if not np.can_cast(array.dtype, kind, "safe"):
                raise UserError(f"augmentation: {name} must be an array of {np.dtype(kind)}, not of {array.dtype}")
            object.__setattr__(self, name, np.require(array, kind, ["C", "A"]))
        if self.kinds.ndim != 2:
            raise UserError(f"augmentation: kinds must be (batch, variants), not {self.kinds.shape}")
        if self.snrs.shape != self.kinds.shape:
            raise UserError(f"augmentation: snrs must be as kinds, {self.kinds.shape}, not {self.snrs.shape}")

    @cached_property
    def core(self) -> _C.Plan:
        """What the C++ core knows of it."""
        return _C.Plan(self.kinds, self.snrs, self.firsts, self.records, self.offsets)


def draw(bank: Bank, utterance: str, variant: str, split: str, seed: int) -> Mix:
    """One variant of one utterance, with recordings of the utterance's split only."""
    if variant == "clean":
        return Mix()
    chances = iter(uniforms(2 + 2 * TALKERS[1], seed, utterance, variant, "plan"))
    candidates = bank.members[CATEGORY_OF[variant], split]
    low, high = TALKERS if variant == "babble" else (1, 1)
    count = min(low + int(next(chances) * (high - low + 1)), len(candidates))
    share = next(chances)
    chosen: list[int] = []
    for _ in range(count):  # each of those that are left is as likely as any other
        position = int(next(chances) * (len(candidates) - len(chosen)))
        for taken in sorted(chosen):
            position += position >= taken
        chosen.append(position)
    records = tuple(candidates[position] for position in chosen)
    if variant == "reverb":
        return Mix(REVERB, records)
    softest, loudest = SNR[variant]
    return Mix(ADD, records, tuple(next(chances) for _ in records), softest + share * (loudest - softest))


def plan_of(mixes: Sequence[Sequence[Mix]], bank: Bank, samples: int) -> Plan:
    """The mixes of each utterance of a batch, `samples` long; all must have as many variants."""
    flat = [mix for variants in mixes for mix in variants]
    records = np.array([record for mix in flat for record in mix.records], np.int64)
    places = np.array([place for mix in flat for place in (mix.places or (0.0,) * len(mix.records))], np.float64)
    lengths = np.diff(bank.starts)[records]
    # A long recording starts where it lasts to the end of the utterance, a short one anywhere.
    choices = np.where(lengths > samples, lengths - samples + 1, lengths)
    shape = (len(mixes), len(mixes[0]) if mixes else 0)
    return Plan(
        kinds=np.array([mix.kind for mix in flat], np.uint8).reshape(shape),
        snrs=np.array([mix.snr for mix in flat], np.float64).reshape(shape),
        firsts=np.cumsum([0, *(len(mix.records) for mix in flat)], dtype=np.int64),
        records=records,
        offsets=(places * choices).astype(np.int64),
    )


def augment(waves, plan: Plan, bank: Bank, threads: int = 1, out=None):
    """The variants of a batch of utterances.

    Args:
        waves: `(batch, samples)`, float32 within ±1 or int16 (which stands for value / 32768), a NumPy array or a torch
            tensor, contiguous or not. A CUDA tensor is copied to the CPU, and the result back.
        threads: threads to share the utterances among; the result does not depend on it.
        out: where to put the result, not in the memory of `waves`; a new array if there is none.

    Returns:
        `(batch, variants, samples)` float32, in units of full scale, not clipped: an array for an array, a tensor for a
        tensor.

    Raises:
        UserError: another kind of input, type or shape; a plan for another batch or bank; a damaged recording; or a
            sample that is NaN, infinite, or beyond ±1e10.
    """
    array = samples_of(waves, "augmentation")
    bank.check(plan.records)
    with refusing("augmentation"):
        return like(_C.mix(array, plan.core, bank.core, index(threads), outputs_of(out, array)), waves, out)


def augment_lfcc(waves, plan: Plan, bank: Bank, options: LfccOptions, threads: int = 1, out=None):
    """`lfcc(augment(...))` in one go, without the mixes in memory: `(batch, variants, n_lfcc, frames)` float32.

    Arguments and errors are those of the two. A CUDA tensor's mixes and LFCCs are computed on its GPU, and stay there.
    """
    gpu = gpu_for(waves, out)
    if gpu is not None:
        bank.check(plan.records)
        return gpu.augment_lfcc(waves, plan, bank.on(waves.device), options)
    array = samples_of(waves, "augmentation")
    bank.check(plan.records)
    with refusing("augmentation"):
        features = _C.mixed_lfcc(array, plan.core, bank.core, options.core, index(threads), outputs_of(out, array))
        return like(features, waves, out)


def add_noise(waves, noises: Sequence[np.ndarray], snrs: Sequence[float], threads: int = 1, out=None):
    """Each utterance with its own noise at its own SNR: `(batch, samples)` float32.

    Args:
        noises: int16 arrays, one for each utterance; each begins with its first sample, and is repeated if it is short.
        snrs: dB, within ±100.

    The rest is as in `augment`.
    """
    _check_signals(noises, "noise", waves)
    if len(snrs) != len(noises):
        raise UserError(f"augmentation: {len(snrs)} SNRs for {len(noises)} noises: there must be one for each")
    bank = Bank.of([noise[: max(1, waves.shape[1])] for noise in noises])  # the rest is not heard
    mixes = [[Mix(ADD, (record,), (0.0,), float(snr))] for record, snr in enumerate(snrs)]
    return _single(waves, mixes, bank, threads, out)


def reverberate(waves, responses: Sequence[np.ndarray], threads: int = 1, out=None):
    """Each utterance in its own room: convolved with an impulse response at unit energy, and cut to its own length.

    Args:
        responses: int16 arrays, one for each utterance; a silent one leaves the utterance as it is.

    The rest is as in `augment`; the result is `(batch, samples)` float32.
    """
    _check_signals(responses, "impulse response", waves)
    mixes = [[Mix(REVERB, (record,))] for record in range(len(responses))]
    return _single(waves, mixes, Bank.of(responses), threads, out)


def _single(waves, mixes: Sequence[Sequence[Mix]], bank: Bank, threads: int, out):
    """`augment` with one variant, without an axis for it."""
    if out is not None and tuple(getattr(out, "shape", ())) != tuple(waves.shape):
        raise UserError(f"out: it must be a NumPy array or torch tensor of shape {tuple(waves.shape)}")
    plan = plan_of(mixes, bank, waves.shape[1])
    result = augment(waves, plan, bank, threads, None if out is None else out[:, None])
    return result[:, 0] if out is None else out


def _check_signals(signals: Sequence[np.ndarray], what: str, waves) -> None:
    check_samples(waves, "augmentation")
    if len(signals) != len(waves):
        raise UserError(f"augmentation: {len(signals)} {what}s for {len(waves)} utterances: there must be one for each")
    for number, signal in enumerate(signals):
        if not isinstance(signal, np.ndarray) or signal.dtype != np.int16 or signal.ndim != 1 or not len(signal):
            raise UserError(f"augmentation: {what} {number} must be a NumPy array of int16, (samples,), and not empty")
