"""Timing of rivals in one run: they take turns, so that what else the machine does falls on all of them."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

TURN = 0.03  # seconds


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
    """Time rivals that each process `utterances` utterances when called.

    Each has two calls before it counts, then one turn in every round. A turn is as many calls as take `TURN` seconds,
    so that the fast are not timed while they still wait for what the slow have put out of the caches.
    """
    calls = {}
    for name, run in rivals.items():
        run()
        calls[name] = max(1, math.ceil(TURN / _seconds(run, 1)))
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in tqdm(range(rounds), desc=what, unit="round", leave=False):
        for name, run in rivals.items():
            seconds[name].append(_seconds(run, calls[name]) / utterances)
    return {name: Times(np.array(values)) for name, values in seconds.items()}


def _seconds(run: Callable[[], object], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - began) / calls


def table(times: Mapping[str, Times], base: str, heading: str = "implementation") -> list[str]:
    """Markdown: time for one utterance, its spread, and how many times faster than `base` it is."""
    lines = [f"| {heading} | ms an utterance | spread | against {base} |", "| --- | ---: | ---: | ---: |"]
    for name, measured in times.items():
        ratio = times[base].median / measured.median
        lines.append(f"| {name} | {measured.median * 1e3:.3f} | ±{measured.spread:.0%} | {ratio:.1f} |")
    return lines
