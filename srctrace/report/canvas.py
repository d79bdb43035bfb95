"""What all figures share: a canvas measured in CSS pixels, colours, and SVG files that are the same every time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from srctrace.files import atomic_path

WIDTH = 420  # CSS pixels: a phone shows it whole, a desktop two or more in a row
PX = 0.75  # a CSS pixel is 0.75 points, Matplotlib's unit of lengths and letters
MARGIN = 12

DASH = "\N{EN DASH}"

INK = "#1c2733"
MUTED = "#5b6876"
RULE = "#d9dee4"
EMPTY = "#eef1f4"
ACCENT = "#1f5fa8"
SERIES = ("#1f5fa8", "#c2571a", "#2f7d4f", "#7a4fa3", "#a8324a", "#6b6f2a", "#12808f", "#8a5a3c", "#444c56", "#b0479a")
"""Colours of lines and dots, each at least 4.5 to 1 on white."""

STYLE = {
    "svg.hashsalt": "srctrace",  # ids in the file are hashes: salted by this, not by chance
    "svg.fonttype": "none",  # text stays text: small files, and sharp and searchable
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.family": "DejaVu Sans",  # comes with Matplotlib: lays out alike on every machine
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "figure.facecolor": "white",
}
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


class Canvas:
    """A figure of `WIDTH` by `height` CSS pixels, with the origin at the top left."""

    def __init__(self, height: float):
        self.height = height
        self.figure = Figure(figsize=(WIDTH * PX / 72, height * PX / 72))

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in a rectangle, without any decoration."""
        axes = self.figure.add_axes(
            (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        )
        axes.tick_params(length=0, labelsize=10 * PX, labelcolor=MUTED)
        return axes

    def sheet(self) -> Axes:
        """Axes over the whole figure, whose units are CSS pixels from the top left."""
        axes = self.axes(0, 0, WIDTH, self.height)
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(self.height, 0)
        axes.axis("off")
        return axes

    def title(self, title: str, subtitle: str) -> None:
        """Two lines at the top: they take 44 pixels."""
        sheet = self.sheet()
        label(sheet, MARGIN, 16, shorten(title, 46), size=13, weight="bold", ha="left")
        label(sheet, MARGIN, 34, subtitle, size=10.5, color=MUTED, ha="left")


def label(axes: Axes, x: float, y: float, text: str, size: float = 10, **style) -> None:
    """Text centred at a point, in letters of `size` CSS pixels."""
    words = {"ha": "center", "va": "center_baseline", "color": INK, **style}
    axes.text(x, y, text, fontsize=size * PX, **words)


def box(axes: Axes, x: float, y: float, width: float, height: float, **style) -> None:
    """A rectangle."""
    axes.add_patch(Rectangle((x, y), width, height, **{"linewidth": 0, **style}))


def shorten(text: str, limit: int) -> str:
    """At most `limit` letters; the middle goes, since names differ at their ends."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def legend_places(names: Sequence[str]) -> list[tuple[float, int]]:
    """Where a legend's marks stand: x, and how many lines down; a name that does not fit begins a line."""
    places = []
    x, line = MARGIN + 5.0, 0
    for name in names:
        step = 30 + 6.4 * len(name)
        if places and x + step - 14 > WIDTH - MARGIN:
            x, line = MARGIN + 5.0, line + 1
        places.append((x, line))
        x += step
    return places


LEGEND_LINE = 16  # height of a legend's line


def percent(value: float, decimals: int = 1) -> str:
    """A rate in percent, without the sign; 100 has no decimals."""
    return "100" if value >= 1 - 0.5 * 10 ** -(2 + decimals) else f"{100 * value:.{decimals}f}"


@contextmanager
def canvas(path: Path, height: float) -> Iterator[Canvas]:
    """A canvas to draw on; written to `path` at the end."""
    with rc_context(STYLE):
        drawn = Canvas(height)
        yield drawn
        with atomic_path(path) as temporary:
            nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # versions and dates would differ
            drawn.figure.savefig(temporary, format="svg", metadata=nothing)
            # Letters are placed by DejaVu Sans, which is wide; shown in the reader's own, narrower, interface font.
            svg = temporary.read_text(encoding="utf-8").replace("'DejaVu Sans'", FONT)
            temporary.write_text(svg, encoding="utf-8")


def placeholder(path: Path, title: str, words: str) -> None:
    """A figure that says why there is nothing to show: the workflow expects every file."""
    with canvas(path, 80) as drawn:
        drawn.title(title, words)
