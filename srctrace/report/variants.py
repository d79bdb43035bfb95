"""Robustness: macro-F1 in each variant of the trials, one panel per system."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

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
    legend_places,
    percent,
    shorten,
)
from srctrace.report.cells import Cell, group, mean, pick

TOP = 72
PANEL = 170
PLOT = 104
GAP = 16


def draw_variants(path: Path, systems: Mapping[str, Sequence[Cell]], variants: Sequence[str]) -> None:
    """Draw one panel per system, two in a row; `systems` maps a system to its cells of all variants."""
    groups = list(dict.fromkeys(name for cells in systems.values() for name in group(cells)))
    columns = min(2, len(systems))
    rows = -(-len(systems) // columns)
    width = (WIDTH - 2 * MARGIN - GAP * (columns - 1)) / columns
    places = legend_places(groups)
    head = TOP + LEGEND_LINE * places[-1][1]
    with canvas(path, head + PANEL * rows) as drawn:
        drawn.title(
            "Robustness by variant", "Mean macro-F1 in % of the cells, by variant of the trials; rules: 0, 50, 100"
        )
        sheet = drawn.sheet()
        for index, (name, (x, line)) in enumerate(zip(groups, places, strict=True)):
            _draw_dots(sheet, [x], [56 + LEGEND_LINE * line], index)
            label(sheet, x + 10, 56 + LEGEND_LINE * line, name, size=10.5, ha="left")
        for index, (system, cells) in enumerate(systems.items()):
            left = MARGIN + (index % columns) * (width + GAP)
            top = head + (index // columns) * PANEL
            label(sheet, left, top + 10, shorten(system, int(width / 7)), size=11, weight="bold", ha="left")
            _draw_panel(sheet, left, top + 38, width, cells, groups, variants)


def _draw_panel(
    sheet: Axes,
    left: float,
    top: float,
    width: float,
    cells: Sequence[Cell],
    groups: Sequence[str],
    variants: Sequence[str],
) -> None:
    def y(value: float) -> float:
        return top + PLOT * (1 - value)

    slot = width / len(variants)
    for value in (0, 0.5, 1):
        sheet.plot([left, left + width], [y(value)] * 2, color=RULE, linewidth=0.6, zorder=0)
    for index, variant in enumerate(variants):
        label(sheet, left + (index + 0.5) * slot, y(0) + 11, shorten(variant, 8), size=10, color=MUTED)
    lines = {}
    for name in groups:
        means = [mean(group(found).get(name, [])) if (found := pick(cells, variant=v)) else None for v in variants]
        lines[name] = means
        points = [(left + (index + 0.5) * slot, y(value)) for index, value in enumerate(means) if value is not None]
        if points:
            _draw_dots(sheet, *zip(*points, strict=True), groups.index(name))
    for index in range(len(variants)):
        values = sorted(means[index] for means in lines.values() if means[index] is not None)
        x = left + (index + 0.5) * slot
        if values:
            label(sheet, x, y(values[-1]) - 11, percent(values[-1], 0), size=10, color=INK)
        if len(values) > 1:
            label(sheet, x, y(values[0]) + 12, percent(values[0], 0), size=10, color=INK)


def _draw_dots(sheet: Axes, xs: Sequence[float], ys: Sequence[float], index: int) -> None:
    color = SERIES[index % len(SERIES)]
    face = color if index == 0 else "white"
    sheet.plot(
        xs, ys, "o-", color=color, linewidth=1.1, markersize=5, markerfacecolor=face, markeredgewidth=1.2, zorder=2
    )
