"""Small models on disk, with random weights: as training leaves them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from srctrace import decision
from srctrace.calibration import CALIBRATION_COLUMNS
from srctrace.checkpoint import Description, build, load_checkpoint, save_checkpoint
from srctrace.embeddings import Trials
from srctrace.frontends.lfcc import LfccOptions
from srctrace.metrics import METRICS_COLUMNS
from srctrace.openset.table import OPENSET_COLUMNS
from srctrace.tables import write_table
from srctrace.tracing.enrolled import enrol

SOURCES = ["bark", "vits", "xtts_v2"]
SIZES = {
    "resnet18": {"width": 2},
    "ecapa-tdnn": {"channels": 16, "mfa_channels": 16, "bottleneck": 8, "embedding": 8},
    "aasist": {"channels": [4, 4], "attention": 4, "graph": 4, "stack": 4},
}
LFCC = {"frontend": "lfcc", **vars(LfccOptions(n_lfcc=24)), "seconds": 0.5}
FRAMES = 49  # of so many seconds


def describe(backend: str = "resnet18", **changes) -> Description:
    described = {
        "system": f"lfcc-{backend}",
        "frontend": LFCC,
        "n_features": 24,
        "backend": backend,
        "sizes": SIZES[backend],
        "sources": SOURCES,
        "training": {
            "epochs": 3,
            "lr": 0.001,
            "variants": ["clean", "noise"],
            "corpus": "mlaad",
            "languages": ["de"],
            "condition": "de",
            "seed": 1,
            "threads": 1,
            "device": "cpu",
            "reached": {"best_epoch": 2, "dev_macro_f1": 0.9},
        },
        "provenance": {"split_sha256": "5" * 64, "versions": {"srctrace": "0.1.0", "torch": "2.11.0"}, "commit": "c0"},
    }
    return Description(**described | changes)


def make_model(folder: Path, description: Description | None = None) -> Path:
    """A model in `folder`, its statistics and batch-norms away from where they begin."""
    description = description or describe()
    torch.manual_seed(0)
    model = build(description)
    for name, tensor in model.state_dict().items():
        if name.endswith(("mean", "running_mean", "layer_weights")):
            tensor.copy_(torch.randn_like(tensor))
        elif name.endswith(("deviation", "running_var")):
            tensor.copy_(0.5 + torch.rand_like(tensor))
    save_checkpoint(folder, model.state_dict(), description)
    rows = [
        {
            **dict.fromkeys(METRICS_COLUMNS, 0.0),
            **{"corpus": "mlaad", "protocol": "mono", "system": description.system, "seed": 1, "train": "de"},
            **{"test": test, "variant": variant, "n_trials": 60},
            **{"macro_f1": value, "macro_f1_low": value - 0.1, "macro_f1_high": value + 0.05},
        }
        for test, values in {"de": (0.9, 0.8, 0.85), "pl": (0.6, 0.4, 0.5)}.items()
        for variant, value in zip(("clean", "noise", "all"), values, strict=True)
    ]
    write_table(folder / "metrics.tsv", METRICS_COLUMNS, rows)
    return folder


def decide(folder: Path, enrolled_from: Path | None = None) -> Path:
    """Give a model a decision, as from clouds of embeddings; and the source `new`, from a file at `enrolled_from`."""
    model, _ = load_checkpoint(folder)
    label = np.arange(60) % len(SOURCES)
    rng = np.random.default_rng(0)
    embedding = 5 * np.eye(len(SOURCES), model.backend.embedding_size)[label]
    embedding = embedding + rng.normal(size=embedding.shape)
    same = {"variant": "clean", "language": "de", "speaker": ""}
    trials = Trials(
        sources=tuple(SOURCES),
        embedding=embedding,
        logits=embedding[:, : len(SOURCES)],
        label=label,
        utterance=np.arange(60).astype(str),
        split=np.where(np.arange(60) % 4, "train", "dev"),
        source=np.array(SOURCES)[label],
        **{name: np.full(60, value) for name, value in same.items()},
    )
    fitted = decision.fit(trials, "mlaad")
    decision.save(fitted, folder / decision.NAME, decision.read_model(folder)["weights_sha256"])
    if enrolled_from:
        enrolled_from.parent.mkdir(exist_ok=True)
        soundfile.write(enrolled_from, rng.normal(0, 0.1, 16000), 16000)
        enrol("new", [enrolled_from], [folder], device="cpu", threads=1)
    return folder


def write_findings(folder: Path) -> None:
    """`openset.tsv` and `calibration.tsv`, of a model with a decision."""
    fitted = decision.load(folder)
    means = {"auroc": 0.75, "false_acceptance": 0.4, "false_rejection": 0.05}
    facts = {
        "unknown": ["lpc"],
        "bona_fide": True,
        "bona_fide_trained_languages": {"languages": ["de"], **means},
        "bona_fide_other_languages": {"languages": ["en", "pl"], **means, "false_acceptance": 0.6},
    }
    fitted = replace(fitted, facts=fitted.facts | facts)
    decision.save(fitted, folder / decision.NAME, decision.read_model(folder)["weights_sha256"])
    where = {"protocol": "out-of-set", "train": "de", "test": "de", "variant": "clean", "rotation": "-"}
    rates = {"auroc": 0.75, "auroc_low": 0.7, "auroc_high": 0.8, "false_acceptance": 0.4, "false_rejection": 0.05}
    rows = [
        dict.fromkeys(OPENSET_COLUMNS, "") | where | rates | {"method": one, "unknown": unknown, "n_unknown": 30}
        for one in (fitted.method, "other")
        for unknown in ("all", "bona-fide", "lpc")
    ]
    write_table(folder / "openset.tsv", OPENSET_COLUMNS, rows)
    errors = {"ece_before": 0.123, "ece_after": 0.031}
    rows = [
        dict.fromkeys(CALIBRATION_COLUMNS, "") | where | {"protocol": "mono", "variant": variant} | errors
        for variant in ("all", "clean")
    ]
    write_table(folder / "calibration.tsv", CALIBRATION_COLUMNS, rows)
