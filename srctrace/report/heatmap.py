"""Heat map: train conditions down, what they are tested on across, macro-F1 in each cell."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from matplotlib.axes import Axes

from srctrace.report.canvas import DASH, EMPTY, INK, MARGIN, MUTED, WIDTH, box, canvas, label, percent, shorten
from srctrace.report.cells import Cell
from srctrace.report.color import shade

TOP = 84
ROW = 44
SCALE = 140  # width of the colour scale
HEAD_LINE = 14  # height of a further line in the head of a column


def draw_heatmap(path: Path, cells: Sequence[Cell], trains: Sequence[str], columns: Sequence[str]) -> None:
    """Draw the cells of one system in one variant; where a cell is missing, its place says so."""
    names = [shorten(name, 14) for name in trains]
    left = MARGIN + max(58, 6.4 * max(map(len, names)) + 10)
    width = min(92.0 if len(columns) > 2 else 120.0, (WIDTH - left - MARGIN) / len(columns))
    letters = max(3, int(width / 6.4))
    heads = [[shorten(line, letters) for line in wrap(column, letters, break_long_words=False)] for column in columns]
    extra = HEAD_LINE * (max(map(len, heads)) - 1)
    top = TOP + extra
    bottom = top + ROW * len(trains)
    at = {(cell.train, cell.column): cell for cell in cells}
    seeds = max(len(cell.by_seed) for cell in cells)
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    with canvas(path, bottom + 46) as drawn:
        drawn.title(cells[0].system, f"Macro-F1 in %, {_variant_words(cells[0].variant)}{mean}")
        sheet = drawn.sheet()
        label(sheet, left, 56, "tested on", size=10, color=MUTED, ha="left")
        label(sheet, left - 10, 73 + extra, "trained on", size=10, color=MUTED, ha="right")
        for column, lines in enumerate(heads):
            for line, words in enumerate(lines):
                y = 73 + extra - HEAD_LINE * (len(lines) - 1 - line)
                label(sheet, left + (column + 0.5) * width, y, words, size=11)
        for row, train in enumerate(trains):
            label(sheet, left - 10, top + (row + 0.5) * ROW, names[row], size=11, ha="right")
            for column, name in enumerate(columns):
                x, y = left + column * width, top + row * ROW
                _draw_cell(sheet, x, y, width, at.get((train, name)))
        outlined = any(train in columns for train in trains)
        for row, train in enumerate(trains):
            if train in columns:
                x = left + columns.index(train) * width
                frame = {"facecolor": "none", "edgecolor": "white", "linewidth": 2.4}
                box(sheet, x + 2, top + row * ROW + 2, width - 4, ROW - 4, **frame)
                box(sheet, x, top + row * ROW, width, ROW, **{**frame, "edgecolor": INK, "linewidth": 1.5})
        _draw_scale(sheet, left, bottom + 16)
        note = ["small: 95 % interval"] if width >= 36 else []
        note += ["framed: train = test"] if outlined else []
        for line, words in enumerate(note):
            label(sheet, WIDTH - MARGIN, bottom + 16 + 14 * line, words, size=10, color=MUTED, ha="right")


def _draw_cell(sheet: Axes, x: float, y: float, width: float, cell: Cell | None) -> None:
    middle = x + width / 2
    if cell is None:
        box(sheet, x + 1, y + 1, width - 2, ROW - 2, facecolor=EMPTY)
        label(sheet, middle, y + ROW / 2, DASH, size=12, color=MUTED)
        return
    fill, ink = shade(cell.macro_f1)
    box(sheet, x + 1, y + 1, width - 2, ROW - 2, facecolor=fill)
    value = percent(cell.macro_f1, 1 if width >= 40 else 0)
    interval = width >= 36 and cell.low is not None and cell.high is not None
    label(sheet, middle, y + (16 if interval else ROW / 2), value, size=min(14.5, width / 2.7), color=ink)
    if interval:
        label(sheet, middle, y + 33, f"{percent(cell.low, 0)}{DASH}{percent(cell.high, 0)}", size=10, color=ink)


def _draw_scale(sheet: Axes, x: float, y: float) -> None:
    steps = 70
    colors = [shade((step + 0.5) / steps)[0] for step in range(steps)]
    # Each a hair wider than its place: no light shows between neighbours.
    places = [(x + step * SCALE / steps, SCALE / steps + 0.5) for step in range(steps)]
    sheet.broken_barh(places, (y - 4, 8), facecolors=colors, linewidth=0)
    for value in (0, 50, 100):
        label(sheet, x + SCALE * value / 100, y + 14, str(value), size=10, color=MUTED)


def _variant_words(variant: str) -> str:
    return "all variants together" if variant == "all" else f"{variant} trials"
