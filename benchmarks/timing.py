"""Timing of rivals in one run: they take turns, so that what else the machine does falls on all of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm


@dataclass(frozen=True)
class Times:
    """Seconds of each round of one rival, for one utterance."""

    seconds: np.ndarray

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """Half of the interquartile range, as a share of the median."""
        low, high = np.quantile(self.seconds, [0.25, 0.75])
        return float((high - low) / 2 / self.median)


def race(rivals: Mapping[str, Callable[[], object]], utterances: int, rounds: int, what: str) -> dict[str, Times]:
    """Time rivals that each process `utterances` utterances when called; each has one call before it counts."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for number in tqdm(range(rounds + 1), desc=what, unit="round", leave=False):
        for name, run in rivals.items():
            began = time.perf_counter()
            run()
            if number:
                seconds[name].append((time.perf_counter() - began) / utterances)
    return {name: Times(np.array(values)) for name, values in seconds.items()}


def table(times: Mapping[str, Times], base: str, heading: str = "implementation") -> list[str]:
    """Markdown: time for one utterance, its spread, and how many times faster than `base` it is."""
    lines = [f"| {heading} | ms an utterance | spread | against {base} |", "| --- | ---: | ---: | ---: |"]
    for name, measured in times.items():
        ratio = times[base].median / measured.median
        lines.append(f"| {name} | {measured.median * 1e3:.3f} | ±{measured.spread:.0%} | {ratio:.1f} |")
    return lines
