"""Hidden states of an SSL model that is not trained: computed once, stored, read by every back-end."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from srctrace.audio import SAMPLE_RATE
from srctrace.augment import augment
from srctrace.device import memory_advice, prepare
from srctrace.errors import UserError
from srctrace.features import COLUMNS, Utterances, write_made
from srctrace.files import require_space
from srctrace.frontends.options import SslOptions
from srctrace.frontends.ssl import SslEncoder, load_encoder
from srctrace.frontends.weights import locate
from srctrace.store import write_store
from srctrace.trials import ahead


def pack_hidden(
    utterances: Utterances,
    pinned: Mapping,
    layers: str | int,
    out: str | os.PathLike,
    options: SslOptions,
    stored: str = "float16",
    device: str = "cpu",
    threads: int = 1,
) -> "Pace":
    """Hidden states of all variants into the store `out`: `(hidden, frames)` each, or `(layers, hidden, frames)`.

    What they take on the disk is said before they are computed, and how fast it went in the end.

    Args:
        pinned: the checkpoint, see `weights.pin`.
        layers: `last`, `weighted` (all of them) or the number of one.
        stored: `float16` or `float32`.

    Raises:
        UserError: the checkpoint is not here or has no such layer; the disk or the memory is too small; or a hidden
            state is not finite, or too large for float16.
    """
    place = prepare(device, threads)
    encoder = load_encoder(locate(pinned), pinned, layers).eval()
    n_variants, samples = len(utterances.variants), utterances.store.array.shape[1]
    shape = ((encoder.n_layers,) if encoder.n_layers else ()) + (encoder.n_features, encoder.frames(samples))
    size = len(utterances) * n_variants * int(np.prod(shape)) * np.dtype(stored).itemsize
    print(
        f"{out}: {len(utterances)} utterances in {n_variants} variants, {' x '.join(map(str, shape))} {stored} each: "
        f"{size / 1e9:.3g} GB",
        flush=True,
    )
    require_space(Path(out).parent, size)
    advice = f"set ssl.batch_seconds to {options.batch_seconds / 2:g} or less (it is {options.batch_seconds:g})"
    clock = _Clock(place, encoder.model)
    began = time.monotonic()
    with memory_advice(advice), tqdm(total=len(utterances), desc="ssl", unit="utterance", mininterval=1) as bar:
        encoder.use(place, options.precision)
        hidden = _hidden_states(utterances, encoder, options.batch_seconds, stored, clock, bar)
        write_store(out, COLUMNS, _checked(hidden, pinned["checkpoint"]))
    write_made(
        out,
        {
            "frontend": "ssl",
            **{key: pinned[key] for key in ("checkpoint", "revision", "files")},
            "layers": layers,
            "n_layers": encoder.n_layers,
            "sample_rate": SAMPLE_RATE,
            "hop_length": encoder.hop_length,
            "seconds": utterances.seconds,
        },
    )
    trials = len(utterances) * n_variants
    pace = Pace(trials, trials * samples / SAMPLE_RATE, time.monotonic() - began, clock.seconds())
    print(f"{out}: {pace}", flush=True)
    return pace


@dataclass(frozen=True)
class Pace:
    """How fast an extraction went, from the first batch to the last file. Times in seconds."""

    trials: int
    audio: float
    took: float
    in_model: float

    def __str__(self) -> str:
        return (
            f"{self.trials} trials in {self.took:.1f} s: {self.trials / self.took:.1f} trials/s, "
            f"{self.audio / self.took:.0f} times real time; {self.in_model / self.took:.0%} of it in the model"
        )


def _hidden_states(
    utterances: Utterances, encoder: SslEncoder, batch_seconds: float, stored: str, clock: "_Clock", bar: tqdm
) -> Iterator[tuple[dict[str, object], np.ndarray]]:
    """Index rows and hidden states. While the model works, the next batch is mixed and the last one is written."""
    seconds = len(utterances.variants) * utterances.store.array.shape[1] / SAMPLE_RATE
    batches = utterances.batches(max(1, int(batch_seconds / seconds)))
    waiting: list[tuple[dict[str, object], Tensor]] = []
    copied = None
    for names, mixed in ahead((_mixed, utterances, *batch) for batch in batches):
        rows = utterances.rows(names)
        for indices, computed in encoder.encode(list(mixed), batch_seconds):
            host = [hidden.to(getattr(torch, stored)).to("cpu", non_blocking=True) for hidden in computed]
            event = clock.mark() if clock.on_gpu else None
            yield from _copied(waiting, copied)
            waiting, copied = [(rows[index], hidden) for index, hidden in zip(indices, host, strict=True)], event
        bar.update(len(names))
    yield from _copied(waiting, copied)


def _copied(waiting: list[tuple[dict[str, object], Tensor]], event) -> Iterator[tuple[dict[str, object], np.ndarray]]:
    if event is not None:
        event.synchronize()
    for row, hidden in waiting:
        yield row, np.ascontiguousarray(hidden.numpy())


def _mixed(utterances: Utterances, names: list[str], audio: np.ndarray, plan) -> tuple[list[str], np.ndarray]:
    """`(batch * variants, samples)` float32."""
    return names, augment(audio, plan, utterances.bank).reshape(-1, audio.shape[1])


def _checked(records: Iterator, checkpoint: str) -> Iterator:
    for row, hidden in records:
        if not np.isfinite(hidden).all():
            raise UserError(
                f"{checkpoint}: a hidden state of {row['utterance']!r} ({row['variant']}) is not finite: with "
                "ssl.stored at float16 it may be too large: set it to float32; on a GPU, set ssl.precision to bf16"
            )
        yield row, hidden


class _Clock:
    """Time that a model's forward passes take: on a GPU that of its stream, as calls return before the work is done."""

    def __init__(self, device: torch.device, model: nn.Module):
        self.on_gpu = device.type == "cuda"
        self.began: list = []
        self.ended: list = []
        model.register_forward_pre_hook(lambda *_: self.began.append(self.mark()))
        model.register_forward_hook(lambda *_: self.ended.append(self.mark()))

    def mark(self):
        """The time, in seconds; on a GPU an event in the stream."""
        if not self.on_gpu:
            return time.monotonic()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self) -> float:
        spans = zip(self.began, self.ended, strict=True)
        if not self.on_gpu:
            return sum(end - start for start, end in spans)
        torch.cuda.synchronize()
        return sum(start.elapsed_time(end) for start, end in spans) / 1000
