"""New sources without training: some utterances of a source become its prototype, beside those of the known sources.

Prototypes are mean embeddings (Snell et al. 2017, Prototypical Networks, NeurIPS 30:4077), compared by the cosine, in
the space of `decision.Decision.project`. A model maps what it does not know near to what it knows, so the enrolled
prototype need not be the most similar one: it wins by a margin, below zero mostly, that is chosen on dev trials. Those
who lose to all that are enrolled are at most as many as a threshold of known sources rejects.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from srctrace.embeddings import Trials
from srctrace.grid import BONA_FIDE
from srctrace.metrics import MODEL_COLUMNS, Row
from srctrace.openset.detectors import unit
from srctrace.openset.measures import ACCEPTED
from srctrace.rng import generator

if TYPE_CHECKING:
    from srctrace.decision import Decision

COLUMNS = (
    *MODEL_COLUMNS,
    *("test", "unknown", "shots", "draws", "n_trials", "accuracy", "recall", "known_accuracy"),
)
SHOTS = (1, 2, 5, 10, 20)
DRAWS = 5


def enrol(projected: np.ndarray) -> np.ndarray:
    """The prototype `(m,)`, of length 1, of a source of which there are `(n, m)` projected utterances."""
    return unit(np.mean(projected, axis=0))


def nearest(projected: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Similarities `(n, k)`, cosines, of `(n, m)` projected utterances to `(k, m)` prototypes: the nearest is that of
    the largest. They are -1 to a prototype of zeros, of a source without train utterances: nothing is like that."""
    similarities = unit(projected) @ unit(prototypes).T
    similarities[:, ~prototypes.any(axis=1)] = -1.0
    return similarities


def margins(cohort: np.ndarray, known: np.ndarray, enrolled: np.ndarray) -> np.ndarray:
    """By how much enrolled sources must be more similar than every known one, so that few of a known source are lost.

    Each would lose one in twenty of the cohort if it were alone. Where there are several, their losses add up: all are
    raised by one shift then, so that one in twenty is lost to all of them together.

    Args:
        cohort: `(c, m)` projected utterances of known sources.
        known: `(k, m)` prototypes of the known sources.
        enrolled: `(e, m)` prototypes of the enrolled sources.

    Returns:
        `(e,)`: an utterance is of an enrolled source where its similarity to that, less the margin, is above its
        similarity to each known source.
    """
    above = nearest(cohort, enrolled) - nearest(cohort, known).max(axis=1, keepdims=True)
    alone = np.quantile(above, ACCEPTED, axis=0)
    if len(alone) < 2:
        return alone
    together = np.quantile((above - alone).max(axis=1), ACCEPTED)
    return alone + max(0.0, together)


def measure(model: Mapping[str, object], trials: Trials, decision: "Decision") -> list[Row]:
    """Rows of `fewshot.tsv` of one model: each out-of-set source is enrolled alone, from some of its utterances in the
    languages trained on, and told from the known sources.

    A trial that the enrolled source does not win is given to the source of the largest logit. Recall is over all other
    utterances of the enrolled source in the tested language, all draws together.

    Args:
        model: has the `metrics.MODEL_COLUMNS`.
    """
    known, unknown = trials.known, trials.unknown
    trained = np.unique(trials.train.language)
    of_known, of_unknown = decision.project(known.embedding), decision.project(unknown.embedding)
    nearest_known = nearest(of_known, decision.prototypes).max(axis=1)
    nearest_unknown = nearest(of_unknown, decision.prototypes).max(axis=1)
    is_right = known.logits.argmax(axis=1) == known.label
    rows = []
    for source in np.unique(unknown.source[unknown.source != BONA_FIDE]):
        candidates = np.flatnonzero((unknown.source == source) & np.isin(unknown.language, trained))
        for shots in SHOTS:
            if shots >= len(candidates):
                break
            wins: dict[str, list[np.ndarray]] = {}
            keeps: dict[str, list[np.ndarray]] = {}
            for draw in range(DRAWS):
                address = [str(model[column]) for column in MODEL_COLUMNS]
                chosen = generator("fewshot", *address, source, shots, draw).choice(candidates, shots, replace=False)
                prototype = enrol(of_unknown[chosen])[np.newaxis]
                (margin,) = decision.margins(prototype)
                lost = nearest(of_known, prototype)[:, 0] - margin > nearest_known
                won = nearest(of_unknown, prototype)[:, 0] - margin > nearest_unknown
                others = np.setdiff1d(np.flatnonzero(unknown.source == source), chosen)
                for test in np.intersect1d(known.language, unknown.language[others]):
                    wins.setdefault(test, []).append(won[others[unknown.language[others] == test]])
                    keeps.setdefault(test, []).append((is_right & ~lost)[known.language == test])
            for test in sorted(wins):
                won, kept = np.concatenate(wins[test]), np.concatenate(keeps[test])
                recall, known_accuracy = float(won.mean()), float(kept.mean())
                rows.append(
                    {
                        **{column: model[column] for column in MODEL_COLUMNS},
                        "test": test,
                        "unknown": source,
                        "shots": shots,
                        "draws": DRAWS,
                        "n_trials": len(won) + len(kept),
                        "accuracy": (recall + known_accuracy) / 2,
                        "recall": recall,
                        "known_accuracy": known_accuracy,
                    }
                )
    return rows
