"""Systems side by side: the mean over each group of cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from srctrace.report.canvas import (
    ACCENT,
    INK,
    LEGEND_LINE,
    MARGIN,
    MUTED,
    RULE,
    WIDTH,
    canvas,
    label,
    legend_places,
    percent,
    shorten,
)
from srctrace.report.cells import Cell, group, mean

ROW = 54
LEFT, RIGHT = MARGIN + 24, WIDTH - MARGIN - 30  # where 0 and 100 % are; digits stand beside the outer dots
TOP = 76
MARKERS = ("o", "o", "D", "s")


@dataclass(frozen=True)
class Entry:
    """One line of the figure."""

    name: str
    cells: Sequence[Cell]
    baseline: bool = False


def entries(systems: Mapping[str, Sequence[Cell]], baselines: Mapping[str, Sequence[Cell]]) -> list[Entry]:
    """Systems first, then the baselines that a system should beat."""
    ours = [Entry(name, cells) for name, cells in systems.items() if cells]
    return ours + [Entry(name, cells, baseline=True) for name, cells in baselines.items() if cells]


def draw_systems(path: Path, lines: Sequence[Entry], chance: float | None) -> None:
    """Draw one line per system: dots are means over cells, strokes below them the cells."""
    groups = list(dict.fromkeys(name for line in lines for name in group(line.cells)))
    places = legend_places(groups)
    head = TOP + LEGEND_LINE * places[-1][1]
    bottom = head + ROW * len(lines) + 6
    with canvas(path, bottom + 44) as drawn:
        drawn.title("Systems side by side", "Mean macro-F1 in %, clean trials; strokes: the cells")
        sheet = drawn.sheet()
        for index, (name, (x, line)) in enumerate(zip(groups, places, strict=True)):
            _draw_dot(sheet, x, 56 + LEGEND_LINE * line, index, INK)
            label(sheet, x + 10, 56 + LEGEND_LINE * line, name, size=10.5, ha="left")
        for value in range(0, 101, 20):
            x = _x(value / 100)
            sheet.plot([x, x], [head - 4, bottom], color=RULE, linewidth=0.6, zorder=0)
            label(sheet, x, bottom + 11, str(value), size=10, color=MUTED)
        if chance is not None:
            x = _x(chance)
            sheet.plot([x, x], [head - 4, bottom + 20], color=MUTED, linewidth=0.9, dashes=(3, 2), zorder=1)
            label(sheet, x, bottom + 30, f"chance {percent(chance, 0)}", size=10, color=MUTED)
        for row, line in enumerate(lines):
            _draw_line(sheet, head + ROW * row, line, groups)
            if line.baseline and row and not lines[row - 1].baseline:
                y = head + ROW * row - 3
                sheet.plot([MARGIN, WIDTH - MARGIN], [y, y], color=MUTED, linewidth=0.5)


def _draw_line(sheet: Axes, top: float, line: Entry, groups: Sequence[str]) -> None:
    color = MUTED if line.baseline else ACCENT
    name = f"{line.name} (baseline)" if line.baseline else line.name
    background = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    label(sheet, MARGIN, top + 9, shorten(name, 52), size=11, ha="left", bbox=background)
    y = top + 29
    found = group(line.cells)
    means = {name: mean(cells) for name, cells in found.items()}
    ends = sorted(means.values())
    sheet.plot([_x(ends[0]), _x(ends[-1])], [y, y], color=color, linewidth=1.4, zorder=2)
    for name, value in means.items():
        index = groups.index(name)
        for cell in found[name]:
            x = _x(cell.macro_f1)
            sheet.plot([x, x], [y + 9, y + 16], color=color, linewidth=0.8, alpha=0.45, zorder=1)
        _draw_dot(sheet, _x(value), y, index, color)
    # The outer digits stand outside, so they never meet.
    if len(ends) > 1:
        label(sheet, _x(ends[0]) - 9, y, percent(ends[0]), size=11, ha="right", bbox=background, zorder=1.5)
    label(sheet, _x(ends[-1]) + 9, y, percent(ends[-1]), size=11, ha="left", bbox=background, zorder=1.5)


def _draw_dot(sheet: Axes, x: float, y: float, index: int, color: str) -> None:
    """Full for the first group, hollow for the others."""
    face = color if index == 0 else "white"
    marker = MARKERS[index % len(MARKERS)]
    sheet.plot([x], [y], marker, markersize=6.5, markerfacecolor=face, markeredgecolor=color, markeredgewidth=1.3)


def _x(value: float) -> float:
    return LEFT + (RIGHT - LEFT) * value
