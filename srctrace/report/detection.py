"""Detection error curves: known trials rejected against unknown ones accepted, at every threshold."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from srctrace.grid import ALL
from srctrace.report.canvas import (
    INK,
    LEGEND_LINE,
    MARGIN,
    MUTED,
    RULE,
    SERIES,
    WIDTH,
    canvas,
    label,
    percent,
    shorten,
)
from srctrace.report.inputs import ReportData, Row
from srctrace.report.openset import BEHIND, leading_method
from srctrace.report.rates import number

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
LOWEST, HIGHEST = 0.005, 0.8  # where the axes of the error curves end


def draw_detection(path: Path, data: ReportData) -> None:
    """Draw detection error curves of the leading method, mean over models, on normal-deviate axes."""
    method = leading_method(data)
    points: dict[tuple[str, str], dict[tuple[str, ...], list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in data.detection:
        if row["method"] == method and row["unknown"] == ALL:
            kind = data.crossing(row["train"], row["test"])
            points[row["system"], kind][row["train"], row["test"], row["seed"]].append(row)
    systems = data.order.unique(system for system, _ in points)
    side = WIDTH - 2 * MARGIN - 34
    left, top = MARGIN + 24, 70
    legend = top + side + 52
    with canvas(path, legend + LEGEND_LINE * (len(systems) + 1)) as drawn:
        drawn.title("Unknown sources: errors", f"Method {method}; solid: mono-lingual, dashed: cross-lingual")
        axes = drawn.axes(left, top, side, side)
        ends = ndtri(LOWEST), ndtri(HIGHEST)
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        for spine in axes.spines.values():
            spine.set_visible(False)
        ticks = [float(ndtri(tick)) for tick in TICKS]
        words = [percent(tick, 0) for tick in TICKS]
        axes.set_xticks(ticks, words)
        axes.set_yticks(ticks, words)
        axes.grid(color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.plot(ends, [-end for end in ends], color=MUTED, linewidth=0.9, dashes=(3, 2))
        label(axes, float(ndtri(0.5)), float(ndtri(0.5)), "chance", size=10, color=MUTED, **BEHIND)
        for (system, kind), models in points.items():
            style = {"dashes": (4, 2)} if kind == "cross-lingual" else {}
            curve = mean_curve([_errors(rows) for rows in models.values()])
            color = SERIES[systems.index(system) % len(SERIES)]
            axes.plot(*curve, color=color, linewidth=1.5, clip_on=True, **style)
        sheet = drawn.sheet()
        middle = left + side / 2
        label(sheet, middle, top + side + 30, "unknown accepted as known, %", size=10, color=MUTED)
        label(sheet, MARGIN, top - 10, "known rejected, %", size=10, color=MUTED, ha="left")
        for index, system in enumerate(systems):
            y = legend + LEGEND_LINE * index
            sheet.plot([left, left + 16], [y, y], color=SERIES[index % len(SERIES)], linewidth=1.8)
            label(sheet, left + 22, y, shorten(system, 46), size=10.5, ha="left", color=INK)


def mean_curve(curves: Sequence[np.ndarray]) -> np.ndarray:
    """The mean `(2, points)` of error curves `(2, points)` of false acceptance and false rejection, in normal deviates.

    At each false acceptance, the mean of the false rejections: what one gets by choosing each model's own threshold.
    """
    grid = np.linspace(ndtri(LOWEST), ndtri(HIGHEST), 60)
    rates = ndtr(grid)
    rejection = np.mean([np.interp(rates, acceptance, rejected) for acceptance, rejected in curves], axis=0)
    return np.stack([grid, ndtri(np.clip(rejection, LOWEST / 10, 1 - LOWEST / 10))])


def _errors(rows: Sequence[Row]) -> np.ndarray:
    """False acceptance, growing, and false rejection; from (0, 1) to (1, 0)."""
    pairs = [(number(row["false_acceptance"]) or 0.0, number(row["false_rejection"]) or 0.0) for row in rows]
    # From the highest rejection down: of several points with one false acceptance, interpolation keeps the last.
    return np.array(sorted([(0.0, 1.0), *pairs, (1.0, 0.0)], key=lambda pair: (pair[0], -pair[1]))).T
