"""Which differences between systems mean something.

For every two systems and every group of cells of a protocol: the difference of their mean macro-F1 over the cells, how
far it would vary over other speakers, sentences and training seeds, and how often so large a difference would come
about if there were none. With fewer than three seeds nothing is said: a single model may be a lucky one.

The bootstrap is paired and crossed. A speaker, and a sentence that several speakers say, have one weight in a
replicate, the same for both systems and in every cell; a trial's weight is their product (the pigeonhole bootstrap,
Owen 2007, Ann. Appl. Stat. 1:386; with exponential weights, Owen and Eckles 2012, Ann. Appl. Stat. 6:895). A sentence
of one speaker has none of its own: what sets it apart is part of what sets the speaker apart. Trials of which neither
is known have a weight for their utterance. Weights change which trials count, not how many each class has, as in
`metrics`.

Seeds are crossed with these, the same in all cells of a system, since one seed begins every training of a system
alike; and not paired: seed 1 of one system has nothing in common with seed 1 of another. Drawing n seeds again would
give their mean the variance S / n**2, S being the sum of squares; S / (n (n - 1)), the unbiased one that is taken,
needs no draws.

The variance over clusters is multiplied by (n + 1) / (n - 1), since a bootstrap of few things is too narrow (see
`metrics.bootstrap_interval`); and the deviation of all is read with Student's t, of as many degrees of freedom as seeds
and clusters together leave (Satterthwaite 1946, Biometrics Bull. 2:110).
"""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.special import stdtr, stdtrit
from tqdm import tqdm

from srctrace import grid
from srctrace.metrics import CONFIDENCE, Scores, evaluate, read_scores, replicate_macro_f1
from srctrace.protocol import exact_text, read_any_split
from srctrace.rng import generator

COLUMNS = (
    *("corpus", "protocol", "group", "variant", "system_a", "system_b", "n_seeds", "n_cells"),
    *("macro_f1_a", "macro_f1_b", "difference", "low", "high", "p", "p_holm"),
)
"""Columns of `differences.tsv`; `docs/files.md` says what each means."""

REPLICATES = 10_000
CHUNK = 1000  # of them are made at once: bounds the memory
VARIANTS = ("clean", "all")

Row = dict[str, object]


@dataclass(frozen=True)
class Sample:
    """The macro-F1 of one system's models in one group of cells, mean over the cells.

    `values` is `(seeds,)`; `replicates` is `(seeds, REPLICATES)`, over other speakers and sentences.
    """

    values: np.ndarray
    replicates: np.ndarray


def compare(config: Mapping, protocol: str, results: str | os.PathLike, replicates: int = REPLICATES) -> list[Row]:
    """Rows of `differences.tsv` of one protocol: none with one system, or with fewer than three seeds.

    Args:
        config: of the run, complete.
        results: the corpus's folder, with `models/{system}/{train}/seed{seed}/scores/{test}.tsv` and
            `splits/{test}.tsv`.

    Raises:
        UserError: scores are missing or malformed.
    """
    if not grid.compares(config):
        return []
    cells = [cell for cell in grid.cells(config) if cell.protocol == protocol]
    samples, clusters = _samples(config, cells, Path(results), replicates)
    rows = []
    for group, variant in product(dict.fromkeys(cell.group for cell in cells), VARIANTS):
        for a, b in combinations(config["systems"], 2):
            if (a, group, variant) in samples:
                pair = samples[a, group, variant], samples[b, group, variant]
                rows.append(
                    {
                        **{"corpus": config["corpus"]["name"], "protocol": protocol, "group": group},
                        **{"variant": variant, "system_a": a, "system_b": b, "n_seeds": len(config["seeds"])},
                        "n_cells": sum(cell.group == group for cell in cells),
                        **difference(*pair, clusters[group]),
                    }
                )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return rows


def difference(a: Sample, b: Sample, clusters: int) -> dict[str, float]:
    """What two systems differ by, between which bounds, and how likely as much is by chance (two-sided).

    Args:
        clusters: how many speakers, or other independent clusters, the trials come from.
    """
    n = len(a.values)
    point = float(a.values.mean() - b.values.mean())
    over_trials = (a.replicates.mean(axis=0) - b.replicates.mean(axis=0)).var()
    parts = [(over_trials * (clusters + 1) / max(clusters - 1, 1), max(clusters - 1, 1))]
    parts += [(system.values.var(ddof=1) / n, n - 1) for system in (a, b)]
    variance = sum(part for part, _ in parts)
    if variance == 0:  # the same in every trial and seed
        reach, p = 0.0, 1.0 if point == 0 else 1 / (len(a.replicates[0]) + 1)
    else:
        freedom = variance**2 / sum(part**2 / own for part, own in parts)
        reach = -stdtrit(freedom, (1 - CONFIDENCE) / 2) * np.sqrt(variance)
        p = 2 * stdtr(freedom, -abs(point) / np.sqrt(variance))
    return {
        "macro_f1_a": float(a.values.mean()),
        "macro_f1_b": float(b.values.mean()),
        "difference": point,
        "low": point - float(reach),
        "high": point + float(reach),
        "p": float(p),
    }


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold for all tests together (Holm 1979, Scand. J. Statist. 6:65), in the order given."""
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def trial_weights(rows: Sequence[Mapping[str, str]], replicates: range) -> np.ndarray:
    """`(len(rows), len(replicates))` float32: how much each trial counts in each replicate; mean 1.

    Args:
        rows: of a split table, one per trial.
    """
    speakers_of: dict[str, set[str]] = {}
    for row in rows:
        speakers_of.setdefault(exact_text(row), set()).add(row["speaker"])
    drawn: dict[tuple[str, str], np.ndarray] = {}

    def weight(*key: str) -> np.ndarray:
        if key not in drawn:
            rng = generator("significance", *key, replicates.start)
            drawn[key] = rng.standard_exponential(len(replicates), dtype=np.float32)
        return drawn[key]

    weights = np.ones((len(rows), len(replicates)), np.float32)
    for index, row in enumerate(rows):
        text = exact_text(row)
        by_text = bool(text) and (not row["speaker"] or len(speakers_of[text] - {""}) > 1)
        if row["speaker"]:
            weights[index] *= weight("speaker", row["speaker"])
        if by_text:
            weights[index] *= weight("sentence", text)
        if not row["speaker"] and not by_text:
            weights[index] *= weight("utterance", row["utterance"])
    return weights


def _samples(
    config: Mapping, cells: Sequence[grid.Cell], results: Path, replicates: int
) -> tuple[dict[tuple[str, str, str], Sample], dict[str, int]]:
    """(system, group, variant) to its sample; and group to the number of its clusters.

    Test condition by test condition, since its cells share the weights of its trials.
    """
    seeds = config["seeds"]
    size = Counter(cell.group for cell in cells)
    values: dict[tuple[str, str, str], np.ndarray] = defaultdict(lambda: np.zeros(len(seeds)))
    sums: dict[tuple[str, str, str], np.ndarray] = defaultdict(lambda: np.zeros((len(seeds), replicates)))
    clusters: dict[str, set[str]] = defaultdict(set)
    for test in tqdm(dict.fromkeys(cell.test.name for cell in cells), desc="compare", unit="condition"):
        split = results / "splits" / f"{test}.tsv"
        rows = [row for row in read_any_split(split) if row["split"] == "eval"]
        place = {row["utterance"]: index for index, row in enumerate(rows)}
        here = [cell for cell in cells if cell.test.name == test]
        counted = []
        for cell, system, (at, seed) in product(here, config["systems"], enumerate(seeds)):
            clusters[cell.group] |= {row["speaker"] or exact_text(row) or row["utterance"] for row in rows}
            folder = results / "models" / grid.Model(system, cell.train.name, seed).folder
            scores, sources = read_scores(folder / "scores" / f"{test}.tsv", split)
            for variant in VARIANTS:
                chosen = scores.of_variant(variant)
                if len(chosen):
                    key = system, cell.group, variant
                    values[key][at] += evaluate(chosen.label, chosen.predicted, sources).macro_f1 / size[cell.group]
                    counted.append((key, at, _count(chosen, sources, place)))
        for start in range(0, replicates, CHUNK):
            chunk = range(start, min(start + CHUNK, replicates))
            weights = trial_weights(rows, chunk)
            for key, at, counts in counted:
                k = math.isqrt(counts.shape[0])
                drawn = (counts @ weights).reshape(k, k, -1).astype(np.float64)
                trials = counts.sum(axis=1).reshape(k, k).sum(axis=1)
                sums[key][at, chunk.start : chunk.stop] += replicate_macro_f1(drawn, trials) / size[key[1]]
    samples = {key: Sample(values[key], sums[key]) for key in values}
    return samples, {group: len(names) for group, names in clusters.items()}


def _count(scores: Scores, sources: Sequence[str], place: Mapping[str, int]) -> csr_array:
    """`(pairs of label and prediction, utterances)`: how many trials of an utterance came out so."""
    code = {source: index for index, source in enumerate(sources)}
    pairs = [
        code[label] * len(sources) + code[predicted]
        for label, predicted in zip(scores.label, scores.predicted, strict=True)
    ]
    utterances = [place[utterance] for utterance in scores.utterance]
    return csr_array((np.ones(len(pairs), np.float32), (pairs, utterances)), shape=(len(sources) ** 2, len(place)))
