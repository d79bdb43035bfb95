"""The paper's figures beside a run's: language families on MCL-MLAAD, and nowhere else.

"Multilingual Source Tracing of Speech Deepfakes: A First Benchmark" (arXiv 2508.04143), Figure 4. Its systems on LFCC
are tested on all five variants, 4 200 trials a family; the one on XLS-R on clean audio, 840 trials.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from srctrace import grid
from srctrace.report.cells import Cell

FIGURE_4 = Path(__file__).parent / "figure4.csv"
CORPUS = "mcl-mlaad"
"""The name that a config gives the corpus of the paper, and no other."""

FAMILIES = {"germanic": {"en", "de"}, "romance": {"fr", "it"}, "slavic": {"pl", "ru"}}
OURS = {"xlsr-aasist": "wav2vec2-xls-r-300m-aasist"}
"""The figure's systems by our names, where they differ. It says XLSR, which in this field is XLS-R 300M by custom."""

TRIALS = {"all": 4200, "clean": 840}
MENDED_AUGMENTATION = "noise, music and babble each from their own files, every variant from the clean utterance"
MENDED = {
    "lfcc-resnet18": MENDED_AUGMENTATION,
    "lfcc-ecapa-tdnn": f"{MENDED_AUGMENTATION}; no batch-norm over the logits",
    "wav2vec2-xls-r-300m-aasist": "first residual block uses its batch-norm; no random position encoding",
}


@dataclass(frozen=True)
class Pair:
    """A published figure and this run's. Rates from 0 to 1; `differs` says what else is not the same, in words."""

    system: str
    train: str
    test: str
    variant: str
    published: float
    here: Cell | None
    differs: str


def beside(config: Mapping, cells: Sequence[Cell]) -> list[Pair]:
    """Every published figure of a system of this run; none on another corpus, or with other families.

    Args:
        cells: those of the protocol `family`.
    """
    if config["corpus"]["name"] != CORPUS or {k: set(v) for k, v in config["families"].items()} != FAMILIES:
        return []
    at = {(cell.system, cell.train, cell.test, cell.variant): cell for cell in cells}
    conditions = grid.conditions(config, ["family"])
    pairs = []
    with FIGURE_4.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            train, test = row["train_family"], row["test_family"]
            system = OURS.get(row["system"], row["system"])
            variant = "all" if system.startswith("lfcc-") else "clean"
            if system in config["systems"]:
                here = at.get((system, train, test, variant))
                differs = _differences(config, system, conditions[train], variant, here)
                value = float(row["macro_f1_percent"]) / 100
                pairs.append(Pair(system, train, test, variant, value, here, differs))
    return pairs


def _differences(config: Mapping, system: str, train: grid.Condition, variant: str, here: Cell | None) -> str:
    options = grid.training_of(config, system, train)
    found = []
    if here is not None and here.n_trials != TRIALS[variant]:
        found.append(f"{here.n_trials} trials, not {TRIALS[variant]}")
    if variant == "all" and len(config["variants"]) != 5:
        found.append(f"variants: {', '.join(config['variants'])}")
    frontend = grid.frontend_of(config, system, train)
    frozen = frontend is not None and frontend.mode == grid.FROZEN
    if frozen:
        found.append("frozen, not fine-tuned")
    elif frontend and (rate := options["ssl_lr"] or options["lr"]) != 5e-4:
        found.append(f"learning rate of SSL weights {rate}, not 0.0005")
    for key, paper, words in (
        ("batch_size", 4 if frontend else 64, "batch"),
        ("epochs", 50, "epochs"),
        ("mixup", 0.5, "mixup"),
        ("select", "loss", "epoch kept by dev"),
    ):
        if options[key] != paper:
            found.append(f"{words} {options[key]}, not {paper}")
    return "; ".join([*found, f"mended: {MENDED[system]}"])
