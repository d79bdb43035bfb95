"""How well scores tell known sources (high) from unknown ones (low). All are of `(n,)` and `(m,)` arrays of scores.

A trial is accepted, as of a known source, where its score is at or above a threshold. Equal scores are never told
apart: they count half in the AUROC, and are one step of the error curve.
"""

import math
from collections.abc import Sequence

import numpy as np

from srctrace.metrics import CONFIDENCE, LEAST_SPEAKERS, REPLICATES, replicate_interval
from srctrace.rng import generator

ACCEPTED = 0.95  # share of known trials that a threshold is to accept
POINTS = 41  # of a curve that is drawn
BLOCK = 100  # replicates at once: bounds memory


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Probability that a known trial has a higher score than an unknown one, ties counted half (Mann-Whitney)."""
    from scipy.stats import rankdata  # noqa: PLC0415 - whoever only decides starts sooner without

    n, m = len(known), len(unknown)
    ranks = rankdata(np.concatenate([known, unknown]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def threshold(known: np.ndarray) -> float:
    """The highest score that at least `ACCEPTED` of the known trials reach."""
    needed = math.ceil(ACCEPTED * len(known) - 1e-9)  # 0.95 * 20 is 19, whatever rounding says
    return float(np.sort(known)[len(known) - needed])


def fpr95(known: np.ndarray, unknown: np.ndarray) -> float:
    """Share of unknown trials that are accepted where `ACCEPTED` of the known ones are."""
    return float(np.mean(unknown >= threshold(known)))


def error_curve(known: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False acceptance (share of unknown trials) and false rejection (share of known ones) at each threshold that makes
    a difference, from the lowest, which accepts all, to one that none reaches."""
    steps = np.append(np.unique(np.concatenate([known, unknown])), np.inf)
    false_acceptance = 1 - np.searchsorted(np.sort(unknown), steps) / len(unknown)
    false_rejection = np.searchsorted(np.sort(known), steps) / len(known)
    return false_acceptance, false_rejection


def thinned(false_acceptance: np.ndarray, false_rejection: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `POINTS` points of an error curve, about equally far apart along it, both ends included."""
    along = false_rejection - false_acceptance  # rises from -1 to 1
    chosen = np.unique(np.abs(along - np.linspace(-1, 1, POINTS)[:, np.newaxis]).argmin(axis=1))
    return false_acceptance[chosen], false_rejection[chosen]


def eer(known: np.ndarray, unknown: np.ndarray) -> float:
    """Equal error rate: where the straight lines between the points of the error curve cross the diagonal."""
    false_acceptance, false_rejection = error_curve(known, unknown)
    return float(np.interp(0, false_rejection - false_acceptance, false_rejection))


def auroc_interval(
    known: np.ndarray,
    unknown: np.ndarray,
    speakers: np.ndarray,
    address: Sequence[str | int],
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """An interval of the AUROC that would hold for other utterances, and speakers, of the same sort.

    As `metrics.bootstrap_interval`: a Bayesian bootstrap of whole speakers, whose weight their known and their unknown
    trials share; where at least three are known, the hull of that and the one of single utterances, else the latter.
    Where all is separated, weights would not matter: the lower end has one more known and one more unknown trial that
    are on the wrong side of all others, the upper end two that are on the right one.

    Args:
        speakers: `(n + m,)`, of the known trials, then of the unknown ones; unknown speakers are empty strings.
        address: what the randomness is keyed by.

    Returns:
        Low and high, with the AUROC between them.
    """
    alone = np.char.add("\x1f", np.arange(len(speakers)).astype(str))  # cannot be a speaker
    clusters = {"utterances": alone}
    if len(np.unique(speakers[speakers != ""])) >= LEAST_SPEAKERS:
        clusters["speakers"] = np.where(speakers == "", alone, speakers)
    ends = [auroc(known, unknown)]
    for kind, cluster in clusters.items():
        rng = generator("auroc", kind, *address)
        names, member = np.unique(cluster, return_inverse=True)
        replicate = _Replicates(known, unknown, member, len(names))
        drawn = [replicate.draw(rng, size) for size in _blocks(replicates)]
        lower, upper = map(np.concatenate, zip(*drawn, strict=True))
        ends.extend(replicate_interval(lower, upper, len(names), confidence))
    return min(ends), min(1.0, max(ends))  # rounding may give 1 + 2e-16


class _Replicates:
    """AUROC under random weights of clusters. `member` `(n + m,)` says which cluster a trial is in."""

    def __init__(self, known: np.ndarray, unknown: np.ndarray, member: np.ndarray, n_clusters: int):
        order = np.argsort(unknown)
        self.known, self.unknown = member[: len(known)], member[len(known) :][order]
        self.below = np.searchsorted(unknown[order], known, side="left")  # unknown trials with a lower score
        self.not_above = np.searchsorted(unknown[order], known, side="right")
        self.n_clusters = n_clusters

    def draw(self, rng: np.random.Generator, replicates: int) -> tuple[np.ndarray, np.ndarray]:
        weights = rng.standard_exponential((self.n_clusters + 2, replicates))
        of_clusters, one_known, one_unknown = weights[:-2], weights[-2], weights[-1]
        of_known = of_clusters[self.known]
        of_unknown = np.vstack([np.zeros(replicates), np.cumsum(of_clusters[self.unknown], axis=0)])
        right = (of_known * (of_unknown[self.below] + of_unknown[self.not_above])).sum(axis=0) / 2
        all_known, all_unknown = of_known.sum(axis=0), of_unknown[-1]
        pairs = (all_known + one_known) * (all_unknown + one_unknown)
        extra = one_known * all_unknown + one_unknown * all_known + one_known * one_unknown
        return right / pairs, (right + extra) / pairs


def _blocks(count: int) -> list[int]:
    return [min(BLOCK, count - start) for start in range(0, count, BLOCK)]
