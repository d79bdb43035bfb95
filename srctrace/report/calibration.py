"""Calibration: whether a probability of 80 % is right in 80 % of the trials, before and after temperature scaling."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from srctrace.report.canvas import (
    LEGEND_LINE,
    MARGIN,
    MUTED,
    RULE,
    SERIES,
    WIDTH,
    canvas,
    label,
    legend_places,
    shorten,
)
from srctrace.report.inputs import ReportData
from srctrace.report.rates import Means, means, number

VARIANT = "all"  # of both tables: reliability has no other
STAGES = ("before", "after")
RATES = ("temperature", *(f"{score}_{stage}" for score in ("ece", "nll", "brier") for stage in STAGES))
LEAST = 0.01  # of the trials: a bin with fewer is not drawn
TOP = 92
GAP = 34
FOOT = 44


@dataclass(frozen=True)
class Line:
    """One system in one group of cells: means over cells and seeds."""

    system: str
    group: str
    rates: Means  # temperature, and each score before and after


def calibration_table(data: ReportData, protocol: str) -> list[Line]:
    """Every system and group of cells of a protocol."""
    rows = [row for row in data.calibration if row["protocol"] == protocol and row["variant"] == VARIANT]
    found = means(rows, lambda row: (row["system"], data.group(row)), RATES)
    groups = _groups(data, protocol)
    systems = data.order.unique(system for system, _ in found)
    return [Line(*key, found[key]) for system in systems for group in groups if (key := (system, group)) in found]


def draw_reliability(path: Path, data: ReportData, protocol: str) -> None:
    """Draw accuracy against confidence, one panel per system: a colour per group, dashed before, solid after."""
    curves = _curves(data, protocol)
    systems = list(dict.fromkeys(system for system, *_ in curves))
    groups = [name for name in _groups(data, protocol) if any(name == group for _, group, _ in curves)]
    columns = min(2, len(systems))
    rows = -(-len(systems) // columns)
    side = min(170.0, (WIDTH - 2 * MARGIN - GAP * columns) / columns)
    places = legend_places(groups)
    head = TOP + LEGEND_LINE * places[-1][1]
    with canvas(path, head + rows * (side + FOOT) - 10) as drawn:
        drawn.title("Reliability", "Accuracy by confidence in %; dashed: as trained, solid: scaled")
        sheet = drawn.sheet()
        for index, (name, (x, line)) in enumerate(zip(groups, places, strict=True)):
            y = 56 + LEGEND_LINE * line
            sheet.plot([x - 5, x + 6], [y, y], color=SERIES[index % len(SERIES)], linewidth=1.8)
            label(sheet, x + 10, y, name, size=10.5, ha="left")
        for index, system in enumerate(systems):
            left = MARGIN + 24 + (index % columns) * (side + GAP)
            top = head + (index // columns) * (side + FOOT)
            label(sheet, left, top - 10, shorten(system, int(side / 6.4)), size=11, weight="bold", ha="left")
            axes = drawn.axes(left, top, side, side)
            _frame(axes)
            for (of, group, stage), points in curves.items():
                if of == system:
                    style = {"dashes": (3, 1.6), "linewidth": 1.0} if stage == "before" else {"linewidth": 1.6}
                    confidence, accuracy = zip(*points, strict=True)
                    color = SERIES[groups.index(group) % len(SERIES)]
                    axes.plot(confidence, accuracy, color=color, marker="o", markersize=2.2, **style)


def _curves(data: ReportData, protocol: str) -> Mapping[tuple[str, str, str], Sequence[tuple[float, float]]]:
    """(system, group, stage) to mean confidence and accuracy in % of each bin, over the trials of all cells.

    Bins with fewer than `LEAST` of them are left out: their accuracy is mostly chance.
    """
    sums: dict[tuple[str, str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0] * 3))
    for row in data.reliability:
        if row["protocol"] == protocol and row["variant"] == VARIANT and int(row["n"]):
            bin_sums = sums[row["system"], data.group(row), row["stage"]][int(row["bin"])]
            weight = int(row["n"])
            values = (1.0, number(row["confidence"]) or 0.0, number(row["accuracy"]) or 0.0)
            for place, value in enumerate(values):
                bin_sums[place] += weight * value
    found = {
        key: [
            (100 * confidence / n, 100 * right / n)
            for _, (n, confidence, right) in sorted(bins.items())
            if n >= LEAST * sum(one[0] for one in bins.values())
        ]
        for key, bins in sums.items()
    }
    return {key: found[key] for key in sorted(found, key=lambda key: (data.order.rank(key[0]), STAGES.index(key[2])))}


def _groups(data: ReportData, protocol: str) -> list[str]:
    return list(dict.fromkeys(place.group for place in data.layout.values() if place.protocol == protocol))


def _frame(axes: Axes) -> None:
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.8, dashes=(1, 2))
    axes.set_xticks((0, 50, 100))
    axes.set_yticks((0, 50, 100))
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
