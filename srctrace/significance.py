"""Which differences between systems mean something.

For every two systems and every group of cells of a protocol: the difference of their mean macro-F1 over the cells, how
far it would vary over other speakers, sentences and training seeds, and how often so large a difference would come
about if there were none. With fewer than three seeds nothing is said: a single model may be a lucky one.

The bootstrap is paired: a cluster of trials has one weight in a replicate, the same for both systems and in every cell
and variant. The weights are exponential (the Bayesian bootstrap), and each class keeps its number of trials, as in
`metrics`. Trials are clustered in two crossed ways, by speaker and by sentence, and no bootstrap of a crossed design is
exact (McCullagh 2000, Bernoulli 6:285). Weights that multiply a speaker's by a sentence's (Owen 2007, Ann. Appl. Stat.
1:386) count what is neither's three times, and with few speakers find a third of the differences that this finds.
Instead, there is a bootstrap by speaker, one by sentence and one by both (what one speaker says of one sentence), and
the variance is the first and the second less the third, which is in each (Cameron, Gelbach and Miller 2011, J. Bus.
Econ. Stat. 29:238); neither adds less than nothing. Where each sentence has one speaker, this is the bootstrap by
speaker, or by sentence if that is wider. An utterance of unknown speaker, or sentence, is a cluster of its own there.

Seeds are crossed with these, the same in all cells of a system, since one seed begins every training of a system
alike; and not paired: seed 1 of one system has nothing in common with seed 1 of another. Drawing n seeds again would
give their mean the variance S / n**2, S being the sum of squares; S / (n (n - 1)), the unbiased one that is taken,
needs no draws.

The variance over n clusters is multiplied by (n + 1) / (n - 1), since a bootstrap of few things is too narrow (see
`metrics.bootstrap_interval`); and the deviation of all is read with Student's t, of as many degrees of freedom as
seeds, speakers and sentences together leave (Satterthwaite 1946, Biometrics Bull. 2:110). In simulations, equal systems
are told apart at 5 % in 0 to 7 % of test sets, and in up to 9 % with three speakers that differ much
(`benchmarks/results/significance.md`).
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
from srctrace.errors import UserError
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
EXACT = 1e-12  # a variance, or the square of a difference, that rounding alone may give
VARIANTS = ("clean", "all")
FACTORS = ("speaker", "sentence", "both")
"""By what trials are clustered."""

Row = dict[str, object]


@dataclass(frozen=True)
class Sample:
    """The macro-F1 of one system's models in one group of cells, mean over the cells.

    `values` is `(seeds,)`; `replicates` is `(FACTORS, REPLICATES)`: their mean over seeds, for other clusters.
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
        UserError: scores are missing or malformed, or two models were not scored on the same trials.
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


def difference(a: Sample, b: Sample, clusters: Mapping[str, int]) -> dict[str, float]:
    """What two systems differ by, between which bounds, and how likely as much is by chance (two-sided).

    Args:
        clusters: how many clusters the trials are in, by factor.
    """
    n = len(a.values)
    point = float(a.values.mean() - b.values.mean())
    over = dict(zip(FACTORS, (a.replicates - b.replicates).var(axis=1), strict=True))
    over = {factor: over[factor] * (clusters[factor] + 1) / max(clusters[factor] - 1, 1) for factor in FACTORS}
    parts = [(over["both"], clusters["both"] - 1)]
    for factor in ("speaker", "sentence"):
        if clusters[factor] < clusters["both"]:  # otherwise both are the same, and draws alone would tell them apart
            parts.append((max(over[factor] - over["both"], 0.0), clusters[factor] - 1))
    parts += [(system.values.var(ddof=1) / n, n - 1) for system in (a, b)]
    variance = sum(part for part, _ in parts)
    if variance < EXACT:  # the same in every trial and seed
        reach, p = 0.0, 1.0 if point**2 < EXACT else 1 / (a.replicates.shape[1] + 1)
    else:
        freedom = variance**2 / sum(part**2 / max(own, 1) for part, own in parts)
        reach = -stdtrit(freedom, (1 - CONFIDENCE) / 2) * np.sqrt(variance)
        p = 2 * stdtr(freedom, -abs(point) / np.sqrt(variance))
    return {
        "macro_f1_a": float(a.values.mean()),
        "macro_f1_b": float(b.values.mean()),
        "difference": point,
        "low": max(-1.0, point - float(reach)),
        "high": min(1.0, point + float(reach)),
        "p": float(p),
    }


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values that hold for all tests together (Holm 1979, Scand. J. Statist. 6:65), in the order given."""
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def clusters_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the clusters that an utterance is in, one for each of the `FACTORS`.

    Args:
        row: of a split table.
    """
    alone = f"\x1f{row['utterance']}"  # cannot be a speaker: no table holds this character
    speaker, sentence = row["speaker"] or alone, exact_text(row) or alone
    return speaker, sentence, f"{speaker}\t{sentence}"


def number_clusters(rows: Sequence[Mapping[str, str]]) -> list[tuple[list[str], dict[str, int]]]:
    """For each of the `FACTORS`: the names of the clusters; and utterance to the number of its cluster."""
    found = []
    for of_factor in zip(*map(clusters_of, rows), strict=True):
        names = sorted(set(of_factor))
        number = {name: index for index, name in enumerate(names)}
        found.append((names, {row["utterance"]: number[name] for row, name in zip(rows, of_factor, strict=True)}))
    return found


def draw_weights(factor: str, names: Sequence[str], replicates: range) -> np.ndarray:
    """`(len(names), len(replicates))` float32: how much each cluster counts in each replicate; mean 1."""
    rngs = (generator("significance", factor, name, replicates.start) for name in names)
    return np.stack([rng.standard_exponential(len(replicates)) for rng in rngs]).astype(np.float32)


def count(scores: Scores, sources: Sequence[str], cluster: Mapping[str, int]) -> csr_array:
    """`(pairs of label and prediction, clusters)`: how many trials of a cluster came out so.

    Args:
        cluster: utterance to the number of its cluster.
    """
    code = {source: index for index, source in enumerate(sources)}
    pairs = [
        code[label] * len(sources) + code[predicted]
        for label, predicted in zip(scores.label, scores.predicted, strict=True)
    ]
    members = [cluster[utterance] for utterance in scores.utterance]
    return csr_array(
        (np.ones(len(pairs), np.float32), (pairs, members)), shape=(len(sources) ** 2, max(cluster.values()) + 1)
    )


def drawn_macro_f1(counts: csr_array, weights: np.ndarray) -> np.ndarray:
    """Macro-F1 of what was counted, in each replicate of the clusters' weights."""
    k = math.isqrt(counts.shape[0])
    drawn = (counts @ weights).reshape(k, k, -1).astype(np.float64)
    return replicate_macro_f1(drawn, counts.sum(axis=1).reshape(k, k).sum(axis=1))


def _samples(
    config: Mapping, cells: Sequence[grid.Cell], results: Path, replicates: int
) -> tuple[dict[tuple[str, str, str], Sample], dict[str, dict[str, int]]]:
    """(system, group, variant) to its sample; and group to the number of its clusters, by factor.

    Test condition by test condition, since its cells share the weights of its trials.
    """
    seeds = config["seeds"]
    size = Counter(cell.group for cell in cells)
    values: dict[tuple[str, str, str], np.ndarray] = defaultdict(lambda: np.zeros(len(seeds)))
    sums: dict[tuple[str, str, str], np.ndarray] = defaultdict(lambda: np.zeros((len(FACTORS), replicates)))
    found: dict[str, list[set[str]]] = defaultdict(lambda: [set() for _ in FACTORS])
    for test in tqdm(dict.fromkeys(cell.test.name for cell in cells), desc="compare", unit="condition"):
        split = results / "splits" / f"{test}.tsv"
        rows = [row for row in read_any_split(split) if row["split"] == "eval"]
        numbered = number_clusters(rows)
        here = [cell for cell in cells if cell.test.name == test]
        counted = []
        first: tuple[Path, set[tuple[str, str]]] | None = None
        for cell, system, (at, seed) in product(here, config["systems"], enumerate(seeds)):
            table = results / "models" / grid.Model(system, cell.train.name, seed).folder / "scores" / f"{test}.tsv"
            scores, sources = read_scores(table, split)
            trials = set(zip(scores.utterance.tolist(), scores.variant.tolist(), strict=True))
            first = first or (table, trials)
            if trials != first[1]:
                raise UserError(f"{table}: not the same trials as in {first[0]}: score both on the same list again")
            for variant in VARIANTS if (scores.variant != "clean").any() else ("clean",):
                chosen = scores.of_variant(variant)
                if len(chosen):
                    key = system, cell.group, variant
                    values[key][at] += evaluate(chosen.label, chosen.predicted, sources).macro_f1 / size[cell.group]
                    counted.append((key, [count(chosen, sources, number) for _, number in numbered]))
        for at, (names, _) in enumerate(numbered):
            for cell in here:
                found[cell.group][at].update(names)
            for start in range(0, replicates, CHUNK):
                chunk = range(start, min(start + CHUNK, replicates))
                weights = draw_weights(FACTORS[at], names, chunk)
                for key, counts in counted:
                    share = 1 / (size[key[1]] * len(seeds))
                    sums[key][at, chunk.start : chunk.stop] += share * drawn_macro_f1(counts[at], weights)
    samples = {key: Sample(values[key], sums[key]) for key in values}
    return samples, {group: dict(zip(FACTORS, map(len, own), strict=True)) for group, own in found.items()}
