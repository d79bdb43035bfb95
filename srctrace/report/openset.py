"""Open set: how sources that no model was trained on are told from those it knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from srctrace.grid import ALL, BONA_FIDE
from srctrace.openset.detectors import DEFAULT, METHODS
from srctrace.openset.table import CHOSEN
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
    percent,
    shorten,
)
from srctrace.report.inputs import ReportData, Row
from srctrace.report.rates import Means, means

RATES = (
    *("auroc", "auroc_low", "auroc_high", "eer", "fpr95"),
    *("false_acceptance", "false_rejection", "open_accuracy"),
)
LAST = (*METHODS, CHOSEN, BONA_FIDE)  # of the names of lines: in this order, after all others
TOP = 76
ROW = 26
BEHIND = {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.6}}


@dataclass(frozen=True)
class Line:
    """Mean rates of a system over models, and over rotations where a method was chosen."""

    system: str
    name: str  # the method, unknown source or test language
    rates: Mapping[str, Means]  # by crossing: mono-lingual, cross-lingual


def crossings(data: ReportData) -> list[str]:
    """What test languages are to train conditions in the open-set table; the easiest first."""
    found = {data.crossing(row["train"], row["test"]) for row in data.openset}
    return sorted(found, key=["mono-lingual", "one of several languages", "cross-lingual"].index)


def leading_method(data: ReportData) -> str:
    """The method to show where only one is: the one that a model's decisions are made by."""
    methods = list(dict.fromkeys(row["method"] for row in data.openset))
    return DEFAULT if DEFAULT in methods else methods[0]


def by_method(data: ReportData) -> list[Line]:
    """Every method against all unknown sources together."""
    return _lines(data, [row for row in _clean(data) if row["unknown"] == ALL], "method")


def by_unknown(data: ReportData) -> list[Line]:
    """The leading method against each unknown source."""
    rows = [row for row in _clean(data) if row["method"] == leading_method(data) and row["unknown"] != ALL]
    return _lines(data, rows, "unknown")


def by_language(data: ReportData) -> list[Line]:
    """The leading method on each test language, all unknown sources together."""
    rows = [row for row in _clean(data) if row["method"] == leading_method(data) and row["unknown"] == ALL]
    return _lines(data, rows, "test")


def draw_methods(path: Path, data: ReportData) -> None:
    """Draw mean AUROC of every method, one group of rows per system: full dots mono-lingual, hollow ones other."""
    lines = by_method(data)
    kinds = crossings(data)
    places = legend_places(kinds)
    head = TOP + LEGEND_LINE * places[-1][1]
    systems = list(dict.fromkeys(line.system for line in lines))
    bottom = head + ROW * (len(lines) + len(systems)) + 4
    left = MARGIN + 92

    def x(value: float) -> float:
        return left + (WIDTH - MARGIN - 36 - left) * (value - 0.3) / 0.7

    with canvas(path, bottom + 40) as drawn:
        drawn.title("Unknown sources: methods", "Mean AUROC in %: known against all unknown sources, clean trials")
        sheet = drawn.sheet()
        for index, (kind, (at, line)) in enumerate(zip(kinds, places, strict=True)):
            _dot(sheet, at, 56 + LEGEND_LINE * line, index)
            label(sheet, at + 10, 56 + LEGEND_LINE * line, kind, size=10.5, ha="left")
        for value in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
            dashes = {"color": MUTED, "dashes": (3, 2), "linewidth": 0.9} if value == 0.5 else {"color": RULE}
            sheet.plot([x(value)] * 2, [head - 6, bottom], **{"linewidth": 0.6, "zorder": 0, **dashes})
            label(sheet, x(value), bottom + 11, percent(value, 0), size=10, color=MUTED)
        label(sheet, x(0.5), bottom + 26, "chance", size=10, color=MUTED)
        y = head
        for system in systems:
            label(sheet, MARGIN, y + ROW / 2, shorten(system, 48), size=11, weight="bold", ha="left", **BEHIND)
            y += ROW
            for line in (line for line in lines if line.system == system):
                label(sheet, left - 8, y + ROW / 2, shorten(line.name, 13), size=10.5, ha="right")
                values = {kind: rates["auroc"] for kind, rates in line.rates.items() if rates["auroc"] is not None}
                shown = {kind: max(value, 0.3) for kind, value in values.items()}
                if shown:
                    ends = min(shown.values()), max(shown.values())
                    sheet.plot([x(end) for end in ends], [y + ROW / 2] * 2, color=RULE, linewidth=1.4, zorder=1)
                    words = percent(max(values.values()))
                    label(sheet, x(ends[1]) + 9, y + ROW / 2, words, size=10, ha="left", **BEHIND)
                for kind, value in shown.items():
                    _dot(sheet, x(value), y + ROW / 2, kinds.index(kind))
                y += ROW


def _clean(data: ReportData) -> list[Row]:
    return [row for row in data.openset if row["variant"] == "clean"]


def _lines(data: ReportData, rows: Sequence[Row], column: str) -> list[Line]:
    found = means(rows, lambda row: (row["system"], row[column], data.crossing(row["train"], row["test"])), RATES)
    systems = data.order.unique(system for system, *_ in found)
    names = data.order.unique(name for _, name, _ in found)
    names.sort(key=lambda name: LAST.index(name) if name in LAST else -1)
    kinds = crossings(data)
    return [
        Line(system, name, {kind: found[system, name, kind] for kind in kinds if (system, name, kind) in found})
        for system in systems
        for name in names
        if any((system, name, kind) in found for kind in kinds)
    ]


def _dot(sheet: Axes, x: float, y: float, index: int) -> None:
    """Full for the first kind, hollow for the others."""
    color = SERIES[0]
    face = color if index == 0 else "white"
    sheet.plot([x], [y], "oDs"[index % 3], markersize=5.5, markerfacecolor=face, markeredgecolor=color, zorder=2)
