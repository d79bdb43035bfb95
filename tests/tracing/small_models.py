"""Sounds of a few kinds, and small models that tell them apart without any training."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import scipy.signal
import torch

from srctrace import decision
from srctrace.audio import to_int16
from srctrace.checkpoint import Description, build, load_checkpoint, save_checkpoint
from srctrace.embeddings import Trials
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.tracing.member import load_members

SOURCES = ["hum", "hiss", "buzz"]
STRANGER = "whistle"  # what no model knows
RATE = 16_000
SECONDS = 1.0  # of a segment
LOW, HIGH = -1e6, 1e6  # thresholds, for all to be known and for nothing to be
OPTIONS = LfccOptions(n_fft=320, n_filter=40, n_lfcc=20)


def sound(source: str, seconds: float = SECONDS, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """`(samples,)` float64 within 1."""
    rng = np.random.default_rng([seed, len(source)])
    count = round(seconds * rate)
    noise = rng.normal(0, 0.1, count)
    if source == "hum":
        return 0.3 * scipy.signal.sawtooth(2 * np.pi * (100 + 5 * rng.random()) * np.arange(count) / rate) + noise / 50
    if source == "buzz":
        return 0.2 * scipy.signal.square(2 * np.pi * (160 + 5 * rng.random()) * np.arange(count) / rate) + noise / 5
    if source == STRANGER:
        return 0.3 * np.sin(2 * np.pi * (3000 + 100 * rng.random()) * np.arange(count) / rate) + noise / 10
    return noise


def make_model(folder: Path, threshold: float | None = LOW, sources: Sequence[str] = SOURCES, seed: int = 0) -> Path:
    """A model of LFCCs: fresh weights, but for a classifier that takes the nearest mean of embeddings.

    Args:
        threshold: of its decision; none: it has no decision.
    """
    waves = {source: np.stack([to_int16(sound(source, seed=number)) for number in range(30)]) for source in sources}
    features = {source: torch.from_numpy(lfcc(each, OPTIONS)) for source, each in waves.items()}
    frontend = {"frontend": "lfcc", **asdict(OPTIONS), "seconds": SECONDS, "origin": "tests"}
    description = Description(
        *("lfcc-resnet18", frontend, OPTIONS.n_lfcc, "resnet18", {"width": 4}, list(sources)),
        {"corpus": "sounds", "languages": ["en"], "seed": seed, "reached": {"dev_macro_f1": 1.0}},
        {},
    )
    torch.manual_seed(seed)
    model = build(description).eval()
    every = torch.cat(list(features.values()))
    model.fit_standardisation(every.mean(dim=(0, 2)), every.std(dim=(0, 2)))
    with torch.inference_mode():
        means = torch.stack([model(each)[0].mean(dim=0) for each in features.values()])
        scale = 20 / torch.cdist(means, means).max() ** 2
        model.backend.classifier.weight.copy_(2 * scale * means)
        model.backend.classifier.bias.copy_(-scale * means.square().sum(dim=1))
    save_checkpoint(folder, model.state_dict(), description)
    if threshold is not None:
        decide(folder, waves, threshold)
    return folder


def make_ssl_model(folder: Path, n_features: int, frontend: dict, ssl: dict) -> Path:
    """A model of hidden states, with fresh weights: of a frozen front-end, or with one of its own."""
    frontend = {**frontend, "sample_rate": RATE, "seconds": SECONDS}
    sizes = {"width": 4}
    description = Description("ssl-resnet18", frontend, n_features, "resnet18", sizes, SOURCES, {}, {}, ssl=ssl)
    save_checkpoint(folder, build(description).state_dict(), description)
    return folder


def decide(folder: Path, waves: dict[str, np.ndarray], threshold: float) -> None:
    """Fit its decision, but for the threshold: a third of the sounds is dev."""
    (member,) = load_members([folder], "cpu", 1)
    found = [member.run(member.front_end(each)) for each in waves.values()]
    count = sum(map(len, waves.values()))
    labels = np.repeat(np.arange(len(waves)), [len(each) for each in waves.values()])
    same = {"variant": "clean", "language": "en", "speaker": ""}
    trials = Trials(
        sources=tuple(waves),
        embedding=np.concatenate([embeddings for embeddings, _ in found]).astype(float),
        logits=np.concatenate([logits for _, logits in found]),
        label=labels,
        utterance=np.arange(count).astype(str),
        split=np.where(np.arange(count) % 3, "train", "dev"),
        source=np.array(list(waves))[labels],
        **{name: np.full(count, value) for name, value in same.items()},
    )
    path = folder / decision.NAME
    fitted = replace(decision.fit(trials, "sounds"), threshold=threshold)
    decision.save(fitted, path, decision.read_model(folder)["weights_sha256"])


def logits_of(folder: Path, waves: np.ndarray) -> np.ndarray:
    """Of segments `(batch, samples)` int16, by the model itself."""
    model, _ = load_checkpoint(folder)
    with torch.inference_mode():
        return model(torch.from_numpy(lfcc(waves, OPTIONS)))[1].double().numpy()
