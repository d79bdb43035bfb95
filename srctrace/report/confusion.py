"""Confusion matrices: what each source is taken for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from srctrace.report.canvas import DASH, MARGIN, MUTED, WIDTH, box, canvas, label, percent, shorten
from srctrace.report.color import shade

TOP = 50
ROW = 40
HEAD = 58
FOOT = 14


@dataclass(frozen=True)
class Matrix:
    """Counts of (true source, predicted source), summed over some cells and seeds."""

    title: str
    counts: Mapping[tuple[str, str], int]
    sources: Sequence[str]

    def trials(self, label: str) -> int:
        """Trials of a source."""
        return sum(self.counts.get((label, predicted), 0) for predicted in self.sources)

    def share(self, label: str, predicted: str) -> float | None:
        """Share of a source's trials that are taken for `predicted`; none without trials."""
        trials = self.trials(label)
        return self.counts.get((label, predicted), 0) / trials if trials else None


def matrices(
    rows: Iterable[Mapping[str, str]], group_of: Mapping[tuple[str, str], str], sources: Sequence[str]
) -> list[Matrix]:
    """One matrix per group from rows of `confusion.tsv`; `group_of` maps (train, test) to a group's name."""
    sums: dict[str, Counter] = {name: Counter() for name in dict.fromkeys(group_of.values())}
    for row in rows:
        name = group_of.get((row["train"], row["test"]))
        if name is not None:
            sums[name][row["label"], row["predicted"]] += int(row["n"])
    return [Matrix(name, counts, sources) for name, counts in sums.items() if counts.total()]


def draw_confusion(path: Path, system: str, found: Sequence[Matrix]) -> None:
    """Draw the matrices of a system, one below the other."""
    panel = HEAD + ROW * len(found[0].sources) + FOOT
    with canvas(path, TOP + panel * len(found)) as drawn:
        drawn.title(system, "Confusion: % of each source's clean trials; small: how many")
        sheet = drawn.sheet()
        for index, matrix in enumerate(found):
            _draw_matrix(sheet, TOP + panel * index, matrix)


def _draw_matrix(sheet: Axes, top: float, matrix: Matrix) -> None:
    names = [shorten(source, 16) for source in matrix.sources]
    left = MARGIN + max(44, 6.4 * max(map(len, names)) + 10)
    width = min(92.0, (WIDTH - left - MARGIN) / len(names))
    label(sheet, MARGIN, top + 12, matrix.title, size=11.5, weight="bold", ha="left")
    label(sheet, left, top + 30, "taken for", size=10, color=MUTED, ha="left")
    label(sheet, left - 10, top + 47, "source", size=10, color=MUTED, ha="right")
    for column, source in enumerate(matrix.sources):
        words = shorten(source, max(3, int(width / 6.4)))
        label(sheet, left + (column + 0.5) * width, top + 47, words, size=10.5)
    for row, source in enumerate(matrix.sources):
        y = top + HEAD + ROW * row
        label(sheet, left - 10, y + ROW / 2, names[row], size=10.5, ha="right")
        for column, predicted in enumerate(matrix.sources):
            share = matrix.share(source, predicted)
            x = left + column * width
            fill, ink = shade(share or 0.0)
            box(sheet, x + 1, y + 1, width - 2, ROW - 2, facecolor=fill)
            if share is None:
                label(sheet, x + width / 2, y + ROW / 2, DASH, size=12, color=ink)
                continue
            count = matrix.counts.get((source, predicted), 0)
            label(sheet, x + width / 2, y + 14, percent(share, 1 if width >= 40 else 0), size=12.5, color=ink)
            if width >= 6.2 * len(str(count)) + 4:
                label(sheet, x + width / 2, y + 30, str(count), size=10, color=ink)
