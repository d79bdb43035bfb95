"""What augmentation is, in float64 and with nothing clever: what the core is held against."""

import numpy as np

from srctrace.augment import ADD, CLEAN, REVERB, Plan
from srctrace.bank import Bank


def plan_of(mixes: list[tuple], batch: int) -> Plan:
    """A plan with the same variants, (kind, snr, [(record, offset), ...]), for all utterances."""
    parts = [part for _, _, parts in mixes for part in parts] * batch
    shape = (batch, len(mixes))
    return Plan(
        kinds=np.array([kind for kind, _, _ in mixes] * batch, np.uint8).reshape(shape),
        firsts=np.cumsum([0, *(len(parts) for _, _, parts in mixes * batch)]).astype(np.int64),
        snrs=np.array([snr for _, snr, _ in mixes] * batch, np.float64).reshape(shape),
        records=np.array([record for record, _ in parts], np.int64),
        offsets=np.array([offset for _, offset in parts], np.int64),
    )


def mixes_in_float64(waves: np.ndarray, plan: Plan, bank: Bank) -> np.ndarray:
    """The variants of a batch: `(batch, samples)` to `(batch, variants, samples)`."""
    speech = waves.astype(np.float64) / (32768 if waves.dtype == np.int16 else 1)
    batch, samples = speech.shape
    variants = plan.kinds.shape[1]
    mixed = np.empty((batch, variants, samples))
    for m in range(batch * variants):
        b, v = divmod(m, variants)
        parts = range(plan.firsts[m], plan.firsts[m + 1])
        records = [bank.signal(plan.records[part]).astype(np.float64) for part in parts]
        if plan.kinds[b, v] == CLEAN:
            mixed[b, v] = speech[b]
        elif plan.kinds[b, v] == REVERB:
            (response,) = records
            energy = np.sum(response**2)
            mixed[b, v] = np.convolve(speech[b], response / np.sqrt(energy))[:samples] if energy else speech[b]
        else:
            assert plan.kinds[b, v] == ADD
            noise = np.zeros(samples)
            for part, record in zip(parts, records, strict=True):
                stretch = record[(plan.offsets[part] + np.arange(samples)) % len(record)]
                if stretch.any():
                    noise += stretch / np.sqrt(np.mean(stretch**2))
            gain = 0.0
            if noise.any() and speech[b].any():
                gain = np.sqrt(np.mean(speech[b] ** 2) / np.mean(noise**2)) * 10 ** (-plan.snrs[b, v] / 20)
            mixed[b, v] = speech[b] + gain * noise
    return mixed
