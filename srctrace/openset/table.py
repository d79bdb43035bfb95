"""How well one model tells sources that it does not know from those that it knows, in each language it is tested on.

Methods are fitted on train trials, thresholds are chosen on dev trials, and both see no unknown source. Which method
is best can only be seen from unknown sources: `chosen` is, for some of the out-of-set sources in turn, the one that is
best on these, and is measured on the others.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from srctrace.embeddings import Trials
from srctrace.grid import ALL, BONA_FIDE, OUT_OF_SET
from srctrace.metrics import CELL_COLUMNS, MODEL_COLUMNS, Row
from srctrace.openset import detectors
from srctrace.openset.measures import auroc, auroc_interval, eer, error_curve, fpr95, thinned, threshold

OPENSET_COLUMNS = (
    *CELL_COLUMNS,
    *("method", "rotation", "unknown", "n_known", "n_unknown", "auroc", "auroc_low", "auroc_high", "eer", "fpr95"),
    *("threshold", "false_rejection", "false_acceptance", "open_accuracy"),
)
DETECTION_COLUMNS = (*MODEL_COLUMNS, "test", "method", "unknown", "false_acceptance", "false_rejection")

CHOSEN = "chosen"
ROTATIONS = 8  # at most


def measure(model: Mapping[str, object], trials: Trials) -> tuple[list[Row], list[Row]]:
    """Rows of `openset.tsv` and of `detection.tsv` of one model; none where there are no known or no unknown trials.

    Args:
        model: has the `metrics.MODEL_COLUMNS`.
    """
    openset: list[Row] = []
    detection: list[Row] = []
    if not len(trials.known) or not len(trials.unknown):
        return openset, detection
    measured = _Model(model, trials)
    for test in np.intersect1d(trials.known.language, trials.unknown.language):
        for method in detectors.METHODS:
            for name, sources in measured.conditions(test):
                openset.append(measured.row(test, method, "-", name, sources))
                if name in (ALL, BONA_FIDE):
                    detection.extend(measured.curve(test, method, name, sources))
        for held_out, others in rotations(measured.sources):
            method = measured.best(held_out)
            if method is None:
                continue
            for name, sources in measured.conditions(test, others):
                row = measured.row(test, method, "+".join(held_out), name, sources)
                openset.append({**row, "method": CHOSEN})
    return openset, detection


def rotations(sources: Sequence[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pairs of sources to choose a method by (half of them) and sources to measure it on, by shifts in a circle.

    There are as many as there are sources, `ROTATIONS` at most, evenly spread; none with fewer than two sources.
    """
    circle = sorted(sources)
    half, count = len(circle) // 2, min(len(circle), ROTATIONS) if len(circle) > 1 else 0
    shifted = [circle[start:] + circle[:start] for start in (len(circle) * turn // count for turn in range(count))]
    return [(tuple(sorted(names[:half])), tuple(sorted(names[half:]))) for names in shifted]


class _Model:
    """Scores of one model's trials by each method."""

    def __init__(self, model: Mapping[str, object], trials: Trials):
        self.model = {column: model[column] for column in MODEL_COLUMNS}
        self.dev, self.known, self.unknown = trials.dev, trials.known, trials.unknown
        self.is_right = self.known.logits.argmax(axis=1) == self.known.label
        self.sources = sorted(set(self.unknown.source.tolist()) - {BONA_FIDE})
        train = trials.train
        self.scores: dict[str, tuple[np.ndarray, ...]] = {}  # of dev, known and unknown trials
        for method in detectors.METHODS:
            detector = detectors.fit(method, train.embedding, train.logits, train.label)
            parts = (self.dev, self.known, self.unknown)
            self.scores[method] = tuple(detector.score(part.embedding, part.logits) for part in parts)

    def conditions(self, test: str, sources: Sequence[str] | None = None) -> Iterator[tuple[str, list[str]]]:
        """Names of unknown sources, or groups of them, with trials in a language; all there are by default."""
        there = set(self.unknown.source[self.unknown.language == test].tolist())
        found = [source for source in (self.sources if sources is None else sources) if source in there]
        yield from ((source, [source]) for source in found)
        if found:
            yield ALL, found
        if sources is None and BONA_FIDE in there:
            yield BONA_FIDE, [BONA_FIDE]

    def best(self, held_out: Sequence[str]) -> str | None:
        """The method with the best AUROC on dev trials and unknown ones of the languages trained on, if any."""
        chosen = np.isin(self.unknown.source, held_out) & np.isin(self.unknown.language, self.dev.language)
        if not chosen.any():
            return None
        found = {method: auroc(dev, unknown[chosen]) for method, (dev, _, unknown) in self.scores.items()}
        return max(found, key=found.__getitem__)

    def row(self, test: str, method: str, rotation: str, name: str, sources: Sequence[str]) -> Row:
        is_known, is_unknown = self._tested(test, sources)
        dev, known, unknown = self.scores[method]
        known, unknown = known[is_known], unknown[is_unknown]
        limit = threshold(dev)
        speakers = np.concatenate([self.known.speaker[is_known], self.unknown.speaker[is_unknown]])
        address = [*map(str, self.model.values()), test, rotation, name]  # methods are compared under the same weights
        low, high = auroc_interval(known, unknown, speakers, address)
        false_acceptance = float(np.mean(unknown >= limit))
        traced = float(np.mean((known >= limit) & self.is_right[is_known]))
        return {
            **self.model,
            "protocol": OUT_OF_SET,
            "test": test,
            "variant": "clean",
            "method": method,
            "rotation": rotation,
            "unknown": name,
            "n_known": len(known),
            "n_unknown": len(unknown),
            "auroc": auroc(known, unknown),
            "auroc_low": low,
            "auroc_high": high,
            "eer": eer(known, unknown),
            "fpr95": fpr95(known, unknown),
            "threshold": limit,
            "false_rejection": float(np.mean(known < limit)),
            "false_acceptance": false_acceptance,
            "open_accuracy": (traced + 1 - false_acceptance) / 2,
        }

    def curve(self, test: str, method: str, name: str, sources: Sequence[str]) -> Iterator[Row]:
        is_known, is_unknown = self._tested(test, sources)
        _, known, unknown = self.scores[method]
        points = thinned(*error_curve(known[is_known], unknown[is_unknown]))
        for accepted, rejected in zip(*(point.tolist() for point in points), strict=True):
            rates = {"false_acceptance": accepted, "false_rejection": rejected}
            yield {**self.model, "test": test, "method": method, "unknown": name, **rates}

    def _tested(self, test: str, sources: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return (
            self.known.language == test,
            (self.unknown.language == test) & np.isin(self.unknown.source, sources),
        )
