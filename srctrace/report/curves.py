"""Training curves: loss and macro-F1 by epoch, one line per train condition and seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.ticker import FixedLocator, MaxNLocator

from srctrace.report.canvas import MARGIN, MUTED, RULE, SERIES, WIDTH, canvas, label, shorten

PANELS = (("train_loss", "Train loss"), ("dev_loss", "Dev loss"), ("dev_macro_f1", "Dev macro-F1 in %"))
TOP = 50
PANEL = 128
PLOT = 92
LEFT = MARGIN + 34
LINE = 18  # height of a legend line


@dataclass(frozen=True)
class Curve:
    """The training history of one model."""

    system: str
    train: str
    seed: str
    rows: Sequence[Mapping[str, float]]


def draw_curves(path: Path, curves: Sequence[Curve]) -> None:
    """Draw the curves of one system."""
    trains = list(dict.fromkeys(curve.train for curve in curves))
    names = [shorten(train, 16) for train in trains]
    step = 34 + 6.4 * max(map(len, names))
    per_line = max(1, int((WIDTH - LEFT - MARGIN) / step))
    legend = TOP + PANEL * len(PANELS) + 26
    seeds = len({curve.seed for curve in curves})
    lines = -(-len(trains) // per_line)
    with canvas(path, legend + LINE * lines + 4) as drawn:
        drawn.title(curves[0].system, f"Training, by epoch{f', {seeds} seeds' if seeds > 1 else ''}; a line per model")
        sheet = drawn.sheet()
        for index, (column, words) in enumerate(PANELS):
            top = TOP + PANEL * index
            label(sheet, LEFT, top + 12, words, size=10.5, ha="left", weight="bold")
            axes = drawn.axes(LEFT, top + 24, WIDTH - LEFT - MARGIN, PLOT)
            rate = column == "dev_macro_f1"
            for curve in curves:
                axes.plot(
                    [row["epoch"] for row in curve.rows],
                    [100 * row[column] if rate else row[column] for row in curve.rows],
                    color=SERIES[trains.index(curve.train) % len(SERIES)],
                    linewidth=0.9,
                    alpha=0.8,
                    marker="o",
                    markersize=1.6,
                )
            _scale(axes, [row[column] for curve in curves for row in curve.rows], rate)
        label(sheet, (LEFT + WIDTH - MARGIN) / 2, legend - 10, "epoch", size=10, color=MUTED)
        for index, name in enumerate(names):
            x, y = LEFT + index % per_line * step, legend + 8 + LINE * (index // per_line)
            sheet.plot([x, x + 14], [y, y], color=SERIES[index % len(SERIES)], linewidth=1.6)
            label(sheet, x + 19, y, name, size=10.5, ha="left")


def _scale(axes, values: Sequence[float], rate: bool) -> None:
    """From 0 up, with few ticks; a loss gets room above its highest value."""
    finite = [value for value in values if math.isfinite(value)]
    axes.set_ylim(0, 102 if rate else 1.08 * max(finite, default=1.0) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(FixedLocator((0, 50, 100)) if rate else MaxNLocator(nbins=4))
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.03)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
