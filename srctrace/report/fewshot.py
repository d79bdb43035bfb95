"""Few shots: how well sources are told once some utterances of an unknown one are enrolled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from srctrace.report.canvas import INK, LEGEND_LINE, MARGIN, MUTED, RULE, SERIES, WIDTH, canvas, label, shorten
from srctrace.report.inputs import ReportData
from srctrace.report.rates import Means, means

RATES = ("accuracy", "recall", "known_accuracy")
PLOT = 200
TOP = 60


@dataclass(frozen=True)
class Line:
    """One system: means over models and unknown sources, by number of utterances enrolled."""

    system: str
    crossing: str
    shots: Mapping[int, Means]


def fewshot_table(data: ReportData) -> list[Line]:
    """Every system, within and across languages."""
    found = means(
        data.fewshot,
        lambda row: (row["system"], data.crossing(row["train"], row["test"]), row["shots"]),
        RATES,
    )
    lines: dict[tuple[str, str], dict[int, Means]] = {}
    for (system, crossing, shots), rates in found.items():
        lines.setdefault((system, crossing), {})[int(shots)] = rates
    # `mono-lingual` is the last of the alphabet's: it comes first.
    names = sorted(lines, key=lambda name: (data.order.rank(name[0]), name[1] != "mono-lingual", name[1]))
    return [Line(*name, dict(sorted(lines[name].items()))) for name in names]


def draw_fewshot(path: Path, data: ReportData) -> None:
    """Draw accuracy against utterances enrolled: a colour per system, full dots mono-lingual, hollow ones other."""
    lines = fewshot_table(data)
    systems = list(dict.fromkeys(line.system for line in lines))
    shots = sorted({number for line in lines for number in line.shots})
    left, width = MARGIN + 26, WIDTH - 2 * MARGIN - 36
    legend = TOP + PLOT + 54
    with canvas(path, legend + LEGEND_LINE * len(systems) + 4) as drawn:
        drawn.title("Few shots", "Accuracy in %; full dots: mono-lingual, hollow: cross-lingual")
        axes = drawn.axes(left, TOP, width, PLOT)
        for line in lines:
            points = [(n, 100 * rates["accuracy"]) for n, rates in line.shots.items() if rates["accuracy"] is not None]
            if not points:
                continue
            color = SERIES[systems.index(line.system) % len(SERIES)]
            mono = line.crossing == "mono-lingual"
            style = {"markerfacecolor": color} if mono else {"markerfacecolor": "white", "dashes": (3, 2)}
            axes.plot(*zip(*points, strict=True), "o-", color=color, linewidth=1.2, markersize=5, **style)
        _scale(axes, shots)
        sheet = drawn.sheet()
        label(sheet, left + width / 2, TOP + PLOT + 30, "utterances enrolled", size=10, color=MUTED)
        for index, system in enumerate(systems):
            y = legend + LEGEND_LINE * index
            sheet.plot([left, left + 16], [y, y], color=SERIES[index % len(SERIES)], linewidth=1.8)
            label(sheet, left + 22, y, shorten(system, 46), size=10.5, ha="left", color=INK)


def _scale(axes: Axes, shots: list[int]) -> None:
    axes.set_xscale("symlog", linthresh=1, base=2)  # from 0 enrolled, then by doublings
    axes.xaxis.set_major_locator(FixedLocator(shots))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylim(0, 102)
    axes.set_yticks((0, 25, 50, 75, 100))
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
