"""Training: one model on one condition with one seed.

Every random draw is addressed by (seed, epoch, step), so a run that was interrupted goes on to the same weights, bit
for bit, as one that was not (on the same machine, with the same number of threads).
"""

import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from srctrace import provenance
from srctrace.backends.cosine import aam_softmax
from srctrace.checkpoint import Description, build, save_checkpoint
from srctrace.device import memory_advice, prepare
from srctrace.errors import UserError
from srctrace.frontends.options import SslOptions
from srctrace.grid import VARIANTS, split_system
from srctrace.metrics import macro_f1
from srctrace.model import SourceTracer
from srctrace.outliers import make_outliers
from srctrace.protocol import read_split
from srctrace.resume import SAVE_SECONDS, Interruption, interruptible, load_state, save_state
from srctrace.rng import address_key, generator
from srctrace.tables import write_table
from srctrace.trials import OpenInputs, Trial, ahead, batches, cropped, find_trials

HISTORY = ("epoch", "train_loss", "dev_loss", "dev_macro_f1", "lr", "seconds")
STATISTICS_TRIALS = 256  # that SSL features are standardised by


@dataclass(frozen=True)
class TrainOptions:
    """The recipe. Defaults are ours; `config/mcl-mlaad.yaml` has the published one."""

    epochs: int = field(default=12, metadata={"help": "passes over the training trials", "low": 1})
    batch_size: int = field(default=32, metadata={"help": "trials in a step", "low": 2})
    lr: float = field(default=1e-3, metadata={"help": "learning rate of Adam", "low": 1e-9})
    weight_decay: float = field(default=1e-4, metadata={"help": "L2 penalty, as in Adam", "low": 0})
    schedule: str = field(
        default="cosine",
        metadata={"help": "cosine: to 0 over the run; halve: see halve_every", "choices": ("cosine", "halve")},
    )
    halve_every: int = field(
        default=10, metadata={"help": "epochs between halvings of lr, with schedule halve", "low": 1}
    )
    mixup: float = field(
        default=0.0, metadata={"help": "alpha of mixup, the mixed copy joins the batch; 0: none", "low": 0}
    )
    loss: str = field(
        default="softmax",
        metadata={
            "help": "softmax: cross-entropy; aam: additive angular margin, with a classifier by cosines",
            "choices": ("softmax", "aam"),
        },
    )
    margin: float = field(default=0.2, metadata={"help": "of loss aam, in radians", "low": 0})
    scale: float = field(default=16.0, metadata={"help": "of loss aam: what cosines are multiplied by", "low": 1e-9})
    outliers: float = field(
        default=0.0,
        metadata={"help": "weight of outlier exposure, by outliers made of the training trials; 0: none", "low": 0},
    )
    select: str = field(
        default="macro_f1",
        metadata={"help": "the epoch kept: best dev macro_f1, or lowest dev loss", "choices": ("macro_f1", "loss")},
    )
    crop_seconds: float = field(
        default=0.0, metadata={"help": "train on stretches of so many seconds; 0: whole", "low": 0}
    )
    warmup: float = field(default=0.0, metadata={"help": "share of the steps in which lr rises to its value", "low": 0})
    clip: float = field(default=0.0, metadata={"help": "largest norm of a step's gradient; 0: any", "low": 0})
    ssl_lr: float = field(default=0.0, metadata={"help": "learning rate of the SSL weights; 0: lr", "low": 0})
    freeze_encoder: bool = field(default=False, metadata={"help": "keep the convolutions of an SSL model as they are"})
    freeze_layers: int = field(
        default=0, metadata={"help": "keep so many of its lowest layers too, and all below", "low": 0}
    )
    gradient_checkpointing: bool = field(
        default=False, metadata={"help": "compute its layers twice rather than keep what they give: less memory"}
    )
    variants: tuple[str, ...] = field(
        default=("clean",), metadata={"help": "variants to train on and to select by", "choices": VARIANTS}
    )


@dataclass
class Progress:
    """What a run has reached: all that `last.ckpt` must hold beside the weights."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    history: list = field(default_factory=list)
    best_score: list = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict = field(default_factory=dict)


def train(
    open_inputs: OpenInputs,
    split: str | os.PathLike,
    folder: str | os.PathLike,
    system: str,
    sizes: dict,
    sources: Sequence[str],
    seed: int,
    options: TrainOptions,
    device: str = "cpu",
    threads: int = 1,
    load_ssl: Callable | None = None,
    ssl_options: SslOptions = SslOptions(),  # noqa: B008 - frozen
    corpus: str = "",
) -> None:
    """Train a model on the train rows of `split`, keep the best epoch on its dev rows, and write it into `folder`.

    `folder/last-<key>.ckpt` is there while the run lasts, and is taken up by a later run with the same inputs.

    Args:
        load_ssl: gives the `SslEncoder` to be trained with the back-end, where the inputs are waveforms.
        ssl_options: how it runs.
        corpus: its name, to be kept with the model.

    Raises:
        UserError: an input is missing or damaged, a split is empty, the loss is not finite, or the memory is too small.
        SystemExit: with status 128 + signal after SIGTERM or SIGINT, once the state is saved.
    """
    device = prepare(device, threads)
    rows = read_split(split)
    inputs = open_inputs(sorted({row["language"] for row in rows}))
    trials = {
        name: find_trials(inputs, [row for row in rows if row["split"] == name], options.variants, sources)
        for name in ("train", "dev")
    }
    for name, found in trials.items():
        if not found:
            raise UserError(f"{split}: no {name} rows")
    ssl = load_ssl() if load_ssl else None
    if ssl and options.outliers:
        raise UserError(f"{system}: outliers are made of features, and this one is given waveforms: set outliers to 0")
    description = Description(
        system=system,
        frontend=inputs.made,
        n_features=ssl.n_features if ssl else inputs.shape[-2],
        backend=split_system(system)[1],
        sizes=sizes,
        sources=list(sources),
        training={
            **asdict(options),
            "corpus": corpus,
            "languages": sorted({row["language"] for row in rows}),
            "condition": Path(split).stem,
            "seed": seed,
            "threads": threads,
            "device": device.type,
            **({"precision": ssl_options.precision} if ssl else {}),
        },
        provenance={
            "split_sha256": provenance.sha256(split),
            "inputs_crc32": {name: _index_digest(store) for name, store in inputs.read.items()},
            "versions": provenance.versions(),
        },
        n_layers=ssl.n_layers if ssl else inputs.made.get("n_layers", 0),
        ssl=ssl.description if ssl else {},
        scale=options.scale if options.loss == "aam" else 0.0,
    )
    folder = Path(folder)
    key = hashlib.sha256(json.dumps(asdict(description), sort_keys=True).encode()).hexdigest()[:12]
    crop = round(options.crop_seconds * inputs.rate)
    last = folder / f"last-{key}.ckpt"
    lower = [f"batch_size to {options.batch_size // 2} (it is {options.batch_size})"] if options.batch_size > 3 else []
    if ssl and not options.gradient_checkpointing:
        lower.append("gradient_checkpointing to true")
    where = "the system's recipe" if ssl else "train"
    with memory_advice(f"in {where}, set {', or '.join(lower)}" if lower else "it needs a machine with more"):
        model = _prepared(description, ssl, options, seed, device, ssl_options.precision)
        run = _Run(model, description, options, trials, crop, seed, last, device)
        run.train()
    reached = {"best_epoch": run.progress.best_epoch, **run.progress.history[run.progress.best_epoch - 1]}
    del reached["seconds"]  # a model's files are the same every time
    # The commit is told, but is no part of the key: a run goes on after a change of code that did not touch it.
    origin = {**description.provenance, "commit": provenance.git_commit(Path(__file__).parent)}
    finished = replace(description, training={**description.training, "reached": reached}, provenance=origin)
    save_checkpoint(folder, run.progress.best_weights, finished)
    write_table(folder / "history.tsv", HISTORY, run.progress.history)
    for stale in folder.glob("last-*.ckpt"):
        stale.unlink()


def _prepared(
    description: Description,
    ssl: nn.Module | None,
    options: TrainOptions,
    seed: int,
    device: torch.device,
    precision: str,
) -> SourceTracer:
    """The model before its first step, on its device."""
    torch.manual_seed(_torch_seed(seed, "weights"))
    model = build(description, ssl)
    if ssl is not None:
        ssl.freeze(options.freeze_encoder, options.freeze_layers)
        if options.gradient_checkpointing:
            ssl.recompute()
        ssl.use(device, precision)
    return model.to(device)


class _Run:
    """One training run: the model, its optimiser, and how far it is."""

    def __init__(
        self,
        model: SourceTracer,
        description: Description,
        options: TrainOptions,
        trials: dict[str, list[Trial]],
        crop: int,
        seed: int,
        last: Path,
        device: torch.device,
    ):
        self.options, self.trials, self.crop, self.seed, self.last = options, trials, crop, seed, last
        self.n_sources = len(description.sources)
        self.device = device
        self.model = model
        self.rates = [options.lr, options.ssl_lr or options.lr]
        self.optimizer = torch.optim.Adam(_groups(model), lr=options.lr, weight_decay=options.weight_decay)
        half = model.ssl is not None and model.ssl.autocast == torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=half)  # else small gradients vanish in fp16
        # Batch-norm cannot do with a batch of one.
        self.steps = max(1, min(-(-len(trials["train"]) // options.batch_size), len(trials["train"]) // 2))
        self.progress = Progress()
        if not self._resume():
            self.model.fit_standardisation(*_statistics(model, trials["train"], options.batch_size, device))

    def train(self) -> None:
        bar = tqdm(
            desc="train",
            unit="utterance",
            total=self.options.epochs * len(self.trials["train"]),
            initial=self.progress.epoch * len(self.trials["train"]),
            mininterval=1,
        )
        with bar, interruptible() as interruption:
            while self.progress.epoch < self.options.epochs:
                self._epoch(bar, interruption)
                self._save()

    def _epoch(self, bar: tqdm, interruption: Interruption) -> None:
        state = self.progress
        number = state.epoch + 1
        began = saved = time.monotonic()
        order = generator(self.seed, "order", number).permutation(len(self.trials["train"]))
        chunks = np.array_split(order, self.steps)  # of nearly equal size
        self.model.train()
        upcoming = ([self.trials["train"][index] for index in chunk] for chunk in chunks[state.step :])
        for inputs, targets in ahead((cropped, batch, self.crop, self.seed, "crop", number) for batch in upcoming):
            self._set_learning_rate()
            loss = self._step(inputs.to(self.device), targets.to(self.device), number, state.step)
            state.step += 1
            state.loss_sum += loss * len(targets)
            bar.update(len(targets))
            bar.set_postfix(epoch=number, loss=f"{loss:.3f}", dev_f1=_last(state.history, "dev_macro_f1"))
            if time.monotonic() - saved > SAVE_SECONDS:
                saved = time.monotonic()
                self._save()
            self._pause(interruption)
        dev_loss, dev_f1 = evaluate(
            self.model, self.trials["dev"], self.options.batch_size, self.device, lambda: self._pause(interruption)
        )
        if not math.isfinite(dev_loss):
            raise self._diverged(f"the dev loss is {dev_loss}", number, self.steps - 1)
        score = [-dev_loss] if self.options.select == "loss" else [dev_f1, -dev_loss]
        state.history.append(
            {
                "epoch": number,
                "train_loss": state.loss_sum / len(self.trials["train"]),
                "dev_loss": dev_loss,
                "dev_macro_f1": dev_f1,
                "lr": self.optimizer.param_groups[0]["lr"],
                "seconds": time.monotonic() - began,
            }
        )
        if not state.best_score or score > state.best_score:
            state.best_score, state.best_epoch = score, number
            state.best_weights = {name: tensor.cpu().clone() for name, tensor in self.model.state_dict().items()}
        state.epoch, state.step, state.loss_sum = number, 0, 0.0

    def _step(self, inputs: Tensor, targets: Tensor, epoch: int, step: int) -> float:
        torch.manual_seed(_torch_seed(self.seed, "step", epoch, step))
        outliers = None
        if self.options.outliers:
            outliers = make_outliers(inputs, targets, generator(self.seed, "outliers", epoch, step))
        if self.options.mixup:
            inputs, targets = self._mixed(inputs, targets, epoch, step)
        _, logits = self.model(inputs if outliers is None else torch.cat([inputs, outliers]))
        loss = self._loss(logits[: len(targets)], targets)
        if outliers is not None:
            loss = loss - self.options.outliers * logits[len(targets) :].log_softmax(dim=1).mean()
        if not torch.isfinite(loss):
            raise self._diverged(f"the loss is {loss.item()}", epoch, step)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip or math.inf)
        if not self.scaler.is_enabled() and not torch.isfinite(norm):
            raise self._diverged(f"the gradient's norm is {norm.item()}", epoch, step)
        self.scaler.step(self.optimizer)  # leaves a step out where fp16 was too small for the gradient
        self.scaler.update()
        return loss.item()

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.options.loss == "aam":
            return aam_softmax(logits, targets, self.options.margin, self.options.scale)
        return functional.cross_entropy(logits, targets)

    def _diverged(self, what: str, epoch: int, step: int) -> UserError:
        rates = "lr" if self.model.ssl is None else "lr and ssl_lr, or raise warmup"
        kept = (
            f"; {self.last} has the state before, best epoch {self.progress.best_epoch}" if self.last.exists() else ""
        )
        return UserError(f"training: {what} in epoch {epoch}, step {step + 1} of {self.steps}: lower {rates}{kept}")

    def _mixed(self, inputs: Tensor, targets: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """The batch, followed by its mixup copy (Zhang 2018); targets become probabilities."""
        rng = generator(self.seed, "mixup", epoch, step)
        share = float(rng.beta(self.options.mixup, self.options.mixup))
        partner = torch.from_numpy(rng.permutation(len(inputs))).to(self.device)
        one_hot = functional.one_hot(targets, self.n_sources).float()
        mixed = share * inputs + (1 - share) * inputs[partner]
        return torch.cat([inputs, mixed]), torch.cat([one_hot, share * one_hot + (1 - share) * one_hot[partner]])

    def _set_learning_rate(self) -> None:
        state, options = self.progress, self.options
        done = (state.epoch + state.step / self.steps) / options.epochs
        if options.schedule == "halve":
            factor = 0.5 ** (state.epoch // options.halve_every)
        else:
            factor = 0.5 * (1 + float(np.cos(np.pi * done)))
        if done < options.warmup:
            following = done + 1 / (self.steps * options.epochs)  # so that the first step is not in vain
            factor *= min(1.0, following / options.warmup)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=False):
            group["lr"] = rate * factor

    def _pause(self, interruption: Interruption) -> None:
        """Save and leave, if a signal has come."""
        if interruption.number:
            self._save()
            interruption.heed()

    def _save(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "scaler")}
        save_state(self.last, state | {"progress": vars(self.progress)})

    def _resume(self) -> bool:
        state = load_state(self.last)
        if state is None:
            return False
        for name in ("model", "optimizer", "scaler"):
            getattr(self, name).load_state_dict(state[name])
        self.progress = Progress(**state["progress"])
        tqdm.write(f"resuming in epoch {self.progress.epoch + 1}, step {self.progress.step}", file=sys.stderr)
        return True


def evaluate(
    model: SourceTracer,
    trials: Sequence[Trial],
    batch_size: int,
    device: torch.device,
    between: Callable[[], object] = lambda: None,
) -> tuple[float, float]:
    """Mean cross-entropy and macro-F1 of `model` on `trials`; `between` is called after each batch."""
    model.eval()
    loss, predicted = 0.0, []
    with torch.inference_mode():
        for inputs, targets in batches(trials, batch_size):
            _, logits = model(inputs.to(device))
            loss += functional.cross_entropy(logits, targets.to(device), reduction="sum").item()
            predicted += logits.argmax(dim=1).tolist()
            between()
    return loss / len(trials), macro_f1([trial.label for trial in trials], predicted)


def _groups(model: SourceTracer) -> list[dict]:
    """What is trained: first all but the SSL front-end, then, where there is one, what is not frozen of it."""
    of_ssl = set() if model.ssl is None else set(model.ssl.parameters())
    rest = [parameter for parameter in model.parameters() if parameter not in of_ssl]
    own = [] if model.ssl is None else [parameter for parameter in model.ssl.parameters() if parameter.requires_grad]
    return [{"params": rest}, *([{"params": own}] if own else [])]


def _statistics(
    model: SourceTracer, trials: Sequence[Trial], batch_size: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each coefficient over all frames, `([layers,] n_features)` each, summed in float64.

    Of given features, over all trials; of an SSL front-end's, before it is trained, over some from all of the set.
    """
    count, total, square = 0, 0.0, 0.0
    for each in _features(model, trials, batch_size, device):
        features = each.astype(np.float64)
        count += features.shape[-1]
        total = total + features.sum(axis=-1)
        square = square + np.square(features).sum(axis=-1)
    mean = total / count
    deviation = np.sqrt(np.maximum(square / count - mean**2, 0))
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


def _features(
    model: SourceTracer, trials: Sequence[Trial], batch_size: int, device: torch.device
) -> Iterator[np.ndarray]:
    if model.ssl is None:
        yield from (trial.read() for trial in trials)
        return
    model.eval()
    with torch.inference_mode():
        for waves, _ in batches(trials[:: -(-len(trials) // STATISTICS_TRIALS)], batch_size):
            yield from model.ssl(waves.to(device)).cpu().numpy()


def _torch_seed(*address: str | int) -> int:
    return address_key(*address) % 2**63


def _index_digest(store) -> str:
    return hashlib.sha256(" ".join(row["crc32"] for row in store.rows).encode()).hexdigest()


def _last(history: list, column: str) -> str:
    return f"{history[-1][column]:.3f}" if history else "-"
