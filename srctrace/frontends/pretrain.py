"""A small wav2vec 2.0, pretrained on a corpus's own training audio (Baevski et al. 2020).

So that a self-supervised front-end can be run where no published weights can be had. The objective is that of the paper
as `transformers` has it: spans of the latent frames are masked, and for each masked frame the transformer picks the
quantised latent that stood there among others of the same stretch; a second term keeps the codebook in use. The network
is laid out as XLS-R is, with the same kernels and strides (50 frames a second), and fewer channels.

Every draw is addressed by (seed, step), so a run that was interrupted goes on to the same weights, bit for bit, as one
that was not (on the same machine, with the same number of threads).
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

from srctrace import provenance
from srctrace.audio import SAMPLE_RATE
from srctrace.device import memory_advice, prepare
from srctrace.errors import UserError
from srctrace.files import atomic_folder
from srctrace.protocol import read_split
from srctrace.resume import SAVE_SECONDS, interruptible, load_state, save_state
from srctrace.rng import address_key, generator
from srctrace.store import Store, open_store
from srctrace.tables import write_table

MEANS = ("loss", "contrastive", "diversity", "accuracy", "perplexity")
"""What a row of the history has the mean of, over the steps since the row before."""
HISTORY = ("step", *MEANS, "dev_accuracy", "lr")

GUMBEL = (2.0, 0.5)  # temperature of the quantiser, from the first step to the last: the paper's
ADAM = {"betas": (0.9, 0.98), "eps": 1e-6, "weight_decay": 0.01}  # as in the authors' code
DEV_BATCH = 16  # fixed: masks and negatives of the dev stretches are drawn for a batch


@dataclass(frozen=True)
class PretrainOptions:
    """Sizes and recipe, for a corpus of an hour or two of speech and a CPU."""

    channels: int = field(default=256, metadata={"help": "of the last convolutions; a multiple of 8", "low": 8})
    hidden: int = field(default=256, metadata={"help": "width of the transformer; a multiple of 16", "low": 16})
    layers: int = field(default=4, metadata={"help": "of the transformer", "low": 1})
    heads: int = field(default=4, metadata={"help": "of attention; they divide the width", "low": 1})
    noise: float = field(
        default=0.3, metadata={"help": "share of random weights the convolutions start with", "low": 0}
    )
    codevectors: int = field(default=64, metadata={"help": "entries of each of the two codebooks", "low": 2})
    dropout: float = field(default=0.0, metadata={"help": "within the transformer", "low": 0})
    steps: int = field(default=1500, metadata={"help": "optimiser steps; 0: as it begins", "low": 0})
    batch_size: int = field(default=8, metadata={"help": "stretches in a step", "low": 1})
    seconds: float = field(default=2.0, metadata={"help": "length of a stretch", "low": 0.1})
    lr: float = field(default=1e-3, metadata={"help": "highest learning rate of AdamW", "low": 1e-9})
    target_lr: float = field(
        default=0.3, metadata={"help": "share of lr for what makes the targets: convolutions and codebooks", "low": 0}
    )
    warm_up: float = field(
        default=0.1, metadata={"help": "share of the steps in which lr rises; it then falls to 0", "low": 0}
    )
    mask_prob: float = field(
        default=0.65, metadata={"help": "length of all masked spans together over that of the stretch", "low": 0.01}
    )
    mask_length: int = field(default=5, metadata={"help": "frames of 20 ms in a masked span", "low": 1})
    negatives: int = field(default=50, metadata={"help": "distractors for each masked frame", "low": 1})
    diversity: float = field(default=0.1, metadata={"help": "weight of the codebook's diversity loss", "low": 0})
    dev_stretches: int = field(default=128, metadata={"help": "at most so many for the dev accuracy", "low": 1})
    report_every: int = field(default=100, metadata={"help": "steps between rows of history.tsv", "low": 1})


@dataclass
class Progress:
    """What a run has reached: all that its state file must hold beside the weights."""

    step: int = 0
    sums: dict = field(default_factory=lambda: dict.fromkeys(MEANS, 0.0))
    summed: int = 0
    history: list = field(default_factory=list)


@dataclass(frozen=True)
class Clip:
    """One utterance, and where its samples are."""

    utterance: str
    store: Store
    index: int


def pretrain(
    waves: Sequence[str | os.PathLike],
    split: str | os.PathLike,
    out: str | os.PathLike,
    seed: int,
    options: PretrainOptions,
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Pretrain on the train rows of `split`, and write the model as a folder that `AutoModel.from_pretrained` reads.

    Beside the weights, without the quantiser, are `preprocessor_config.json` and `history.tsv`; the dev rows give its
    `dev_accuracy`, the share of masked frames that are picked out. No other row's audio is read.
    `<out>.last-<key>.ckpt` is there while the run lasts, and is taken up by a later run with the same inputs.

    Args:
        waves: stores that `srctrace.waves.pack_waves` wrote, one per language.

    Raises:
        UserError: an input is missing or damaged, train or dev is empty, sizes do not go together, or the loss is not
            finite.
        SystemExit: with status 128 + signal after SIGTERM or SIGINT, once the state is saved.
    """
    device = prepare(device, threads)
    config = _config(options)
    stores = [open_store(path, ["utterance"]) for path in waves]
    clips = _clips(stores, split)
    out = Path(out)
    determined_by = {
        "options": asdict(options),
        "seed": seed,
        "threads": threads,
        "device": device.type,
        "split_sha256": provenance.sha256(split),
        "waves_crc32": [[row["crc32"] for row in store.rows] for store in stores],
        "versions": provenance.versions(),
    }
    key = hashlib.sha256(json.dumps(determined_by, sort_keys=True).encode()).hexdigest()[:12]
    last = out.with_name(f"{out.name}.last-{key}.ckpt")
    with memory_advice(f"set pretrain.batch_size to {max(1, options.batch_size // 2)} (it is {options.batch_size})"):
        run = _Run(config, options, clips, seed, last, device)
        run.train()
    run.model.config.apply_spec_augment = False  # the published models' words for: no masks in fine-tuning
    with atomic_folder(out) as temporary:
        run.model.wav2vec2.save_pretrained(temporary)
        run.extractor.save_pretrained(temporary)
        write_table(temporary / "history.tsv", HISTORY, run.progress.history)
    for stale in out.parent.glob(f"{out.name}.last-*.ckpt"):
        stale.unlink()


class _Run:
    """One run: the model, its optimiser, and how far it is."""

    def __init__(
        self,
        config: Wav2Vec2Config,
        options: PretrainOptions,
        clips: dict[str, list[Clip]],
        seed: int,
        last: Path,
        device: torch.device,
    ):
        self.options, self.clips, self.seed, self.last, self.device = options, clips, seed, last, device
        self.extractor = Wav2Vec2FeatureExtractor(
            sampling_rate=SAMPLE_RATE, do_normalize=True, return_attention_mask=True
        )
        torch.manual_seed(_torch_seed(seed, "pretrain", "weights"))
        self.model = Wav2Vec2ForPreTraining(config)
        _start_as_envelopes(self.model, options.noise)
        self.model.to(device)
        self.optimizer = torch.optim.AdamW(_groups(self.model, options.target_lr), lr=options.lr, **ADAM)
        self.progress = Progress()
        shortest = min(clip.store.array.shape[1] for part in clips.values() for clip in part)
        self.samples = min(round(options.seconds * SAMPLE_RATE), shortest)
        self.frames = int(self.model._get_feat_extract_output_lengths(self.samples))
        # Two spans at least: a masked frame is told from other masked ones.
        if self.frames < max(2 * options.mask_length, 3):
            raise UserError(
                f"pretraining: a stretch of {self.samples / SAMPLE_RATE:g} s has {self.frames} frames: too few for "
                f"masks of {options.mask_length} (mask_length): make it longer (seconds)"
            )
        self._resume()

    def train(self) -> None:
        state, saved = self.progress, time.monotonic()
        bar = tqdm(desc="pretrain", unit="step", total=self.options.steps, initial=state.step, mininterval=1)
        with bar, interruptible() as interruption:
            while state.step < self.options.steps:
                figures = self._step()
                shown = {name: f"{figures[name]:.3g}" for name in ("loss", "accuracy", "perplexity")}
                bar.set_postfix(shown, refresh=False)
                bar.update()
                if interruption.number or time.monotonic() - saved > SAVE_SECONDS:
                    saved = time.monotonic()
                    self._save()
                interruption.heed()

    def _step(self) -> dict[str, float]:
        """One step of the optimiser; its figures, which are `MEANS`."""
        state, options = self.progress, self.options
        address = (self.seed, "pretrain", "step", state.step)
        torch.manual_seed(_torch_seed(*address))
        lr = options.lr * self._rise_and_fall()
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        high, low = GUMBEL
        self.model.set_gumbel_temperature(high * (low / high) ** (state.step / options.steps))
        self.model.train()
        output, accuracy, masked = self._forward(self._batch(state.step), *address)
        loss = output.loss / masked  # of the average masked frame: `transformers` gives sums
        if not torch.isfinite(loss):
            raise UserError(
                f"pretraining: the loss is {loss.item()} in step {state.step + 1}: lower lr, or raise warm_up"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        figures = {
            "loss": loss.item(),
            "contrastive": output.contrastive_loss.item() / masked,
            "diversity": output.diversity_loss.item() / masked,
            "accuracy": accuracy,
            "perplexity": output.codevector_perplexity.item(),
        }
        state.step += 1
        state.summed += 1
        for name, value in figures.items():
            state.sums[name] += value
        if state.step % options.report_every == 0 or state.step == options.steps:
            means = {name: total / state.summed for name, total in state.sums.items()}
            state.history.append({"step": state.step, **means, "dev_accuracy": self._dev_accuracy(), "lr": lr})
            state.sums, state.summed = dict.fromkeys(MEANS, 0.0), 0
        return figures

    def _forward(self, inputs: Tensor, *address: str | int) -> tuple:
        """The model's output for `(batch, samples)`, its accuracy, and how many frames were masked."""
        shape = (len(inputs), self.frames)
        with _numpy_seeded(*address):  # these two draw from NumPy's one global generator
            mask = _compute_mask_indices(shape, self.options.mask_prob, self.options.mask_length, min_masks=2)
            negatives = _sample_negative_indices(shape, self.options.negatives, mask)
        mask, negatives = torch.from_numpy(mask).to(self.device), torch.from_numpy(negatives).to(self.device)
        output = self.model(inputs.to(self.device), mask_time_indices=mask, sampled_negative_indices=negatives)
        return output, _accuracy(output, mask, negatives), int(mask.sum())

    def _batch(self, step: int) -> Tensor:
        """Stretches `(batch, samples)` of the train clips: each pass over them is in an order of its own."""
        clips, size = self.clips["train"], self.options.batch_size
        stretches = []
        for place in range(step * size, (step + 1) * size):
            turn, index = divmod(place, len(clips))
            order = generator(self.seed, "pretrain", "order", turn).permutation(len(clips))
            stretches.append(self._stretch(clips[order[index]], turn))
        return torch.stack(stretches)

    def _stretch(self, clip: Clip, turn: int | str) -> Tensor:
        """`(samples,)` of a clip, of which the whole was normalised, at an offset drawn for (seed, turn, utterance)."""
        whole = clip.store.record(clip.index).astype(np.float32) / 2**15
        values = self.extractor(whole, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values[0]
        start = int(
            generator(self.seed, "pretrain", "crop", turn, clip.utterance).integers(len(values) - self.samples + 1)
        )
        return values[start : start + self.samples]

    def _dev_accuracy(self) -> float:
        """Share of the masked frames of dev stretches that are picked out; the same stretches and masks every time."""
        self.model.eval()
        chosen = self.clips["dev"][: self.options.dev_stretches]
        right = total = 0.0
        with torch.inference_mode():
            for start in range(0, len(chosen), DEV_BATCH):
                inputs = torch.stack([self._stretch(clip, "dev") for clip in chosen[start : start + DEV_BATCH]])
                _, accuracy, masked = self._forward(inputs, self.seed, "pretrain", "dev", start)
                right += accuracy * masked
                total += masked
        return right / total

    def _rise_and_fall(self) -> float:
        """Share of the highest learning rate: up in a line, then down to 0."""
        done, warm_up = self.progress.step + 1, self.options.warm_up * self.options.steps
        if done <= warm_up:
            return done / warm_up
        return (self.options.steps + 1 - done) / (self.options.steps + 1 - warm_up)

    def _save(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("model", "optimizer")}
        save_state(self.last, state | {"progress": asdict(self.progress)})

    def _resume(self) -> None:
        state = load_state(self.last)
        if state is None:
            return
        for name in ("model", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.progress = Progress(**state["progress"])
        tqdm.write(f"resuming after step {self.progress.step}", file=sys.stderr)


def _config(options: PretrainOptions) -> Wav2Vec2Config:
    """XLS-R's layout (Babu et al. 2021) at the sizes of `options`.

    Raises:
        UserError: sizes do not go together.
    """
    if options.dropout >= 1:
        raise UserError(f"pretraining: dropout is a share below 1, not {options.dropout:g}")
    if options.channels % 8 or options.hidden % 16 or options.hidden % options.heads:
        raise UserError(
            f"pretraining: channels ({options.channels}) must be a multiple of 8, hidden ({options.hidden}) one of 16 "
            f"and of heads ({options.heads})"
        )
    width = options.channels
    return Wav2Vec2Config(
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_bias=True,
        # Most of the work is in the first convolutions, where frames are many: narrow ones halve the time of a step.
        conv_dim=(width // 8, width // 4, width // 2, width // 2, width // 2, width, width),
        hidden_size=options.hidden,
        intermediate_size=4 * options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        num_codevectors_per_group=options.codevectors,
        codevector_dim=options.hidden // 4,
        proj_codevector_dim=options.hidden // 4,
        num_negatives=options.negatives,
        diversity_loss_weight=options.diversity,
        hidden_dropout=options.dropout,
        attention_dropout=options.dropout,
        activation_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=options.mask_prob,  # masks are given, but where this is 0 there is nothing to mask with
        mask_time_length=options.mask_length,
    )


def _groups(model: Wav2Vec2ForPreTraining, share: float) -> list[dict]:
    """Parameters for the optimiser: those that make the targets, which get a share of the learning rate; the others."""
    made_by = [*model.wav2vec2.feature_extractor.parameters(), *model.quantizer.parameters()]
    known = {id(parameter) for parameter in made_by}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return [{"params": made_by, "share": share}, {"params": others, "share": 1.0}]


@torch.no_grad()
def _start_as_envelopes(model: Wav2Vec2ForPreTraining, noise: float) -> None:
    """Give the convolutions a start from which the targets can be told from their neighbours.

    Random ones make latents that follow the phase of the wave within a frame: neighbours have nothing in common, and a
    short run on little data never finds anything to predict. Here the first convolution starts as a bank of short
    band-pass filters, and each later one as an average over time, with `noise` of the usual random weights added, so
    that latents start as smoothed envelopes in bands.
    """
    first, *others = (layer.conv.weight for layer in model.wav2vec2.feature_extractor.conv_layers)
    bands, taps = len(first) // 2, first.shape[2]
    time = torch.arange(taps) - (taps - 1) / 2
    phase = (torch.arange(bands)[:, None] + 0.5) / bands * torch.pi * time  # from 0 to half the sampling rate
    filters = torch.cat([phase.cos(), phase.sin()]) * torch.hann_window(taps + 2, periodic=False)[1:-1]
    first[:, 0] = filters * 2**0.5 / filters.norm(dim=1, keepdim=True)  # as large as random ones
    for weight in others:
        channels = torch.arange(len(weight))
        weight.mul_(noise)
        weight[channels, channels % weight.shape[1]] += 1 / weight.shape[2]


def _clips(stores: Sequence[Store], split: str | os.PathLike) -> dict[str, list[Clip]]:
    """The train clips in the split's order, and the dev clips in an order that mixes languages and sources."""
    where = {row["utterance"]: (store, index) for store in stores for index, row in enumerate(store.rows)}
    clips: dict[str, list[Clip]] = {"train": [], "dev": []}
    for row in read_split(split):
        if row["split"] in clips:
            if row["utterance"] not in where:
                raise UserError(
                    f"{split}: {row['utterance']!r} is in none of the waves given: give those of "
                    f"{row['language']!r}, or make them again"
                )
            clips[row["split"]].append(Clip(row["utterance"], *where[row["utterance"]]))
    for name, found in clips.items():
        if not found:
            raise UserError(f"{split}: no {name} rows")
    clips["dev"].sort(key=lambda clip: address_key("pretrain", "dev", clip.utterance))
    return clips


def _accuracy(output, mask: Tensor, negatives: Tensor) -> float:
    """Share of masked frames whose own quantised latent is nearer than every other one among the negatives.

    By chance it is one over the number of different codes among them, and so more where few codes are in use.
    """
    with torch.no_grad():
        targets = functional.normalize(output.projected_quantized_states, dim=-1).flatten(0, 1)
        places = negatives[mask].long()  # (masked, negatives), into the flattened batch
        predicted = functional.normalize(output.projected_states[mask], dim=-1)
        own = targets[mask.flatten()]
        right = (predicted * own).sum(-1)
        wrong = torch.einsum("md,mnd->mn", predicted, targets[places])
        same = (targets[places] == own[:, None]).all(-1)  # the same code is no distractor
        return (wrong.masked_fill(same, -2).amax(1) < right).float().mean().item()


@contextmanager
def _numpy_seeded(*address: str | int) -> Iterator[None]:
    """NumPy's global generator, seeded for an address within the block and as it was after it."""
    before = np.random.get_state()  # noqa: NPY002 - what transformers draws from
    np.random.seed(address_key(*address) % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _torch_seed(*address: str | int) -> int:
    return address_key(*address) % 2**63
