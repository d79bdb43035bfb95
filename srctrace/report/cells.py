"""Cells: what one system reached, trained on one condition and tested on another, over all seeds."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from srctrace import grid
from srctrace.errors import UserError
from srctrace.grid import VARIANTS

Layout = Mapping[tuple[str, str, str], grid.Cell]
"""(protocol, train, test) to what the grid says of it."""


@dataclass(frozen=True)
class Cell:
    """One train and test condition of one system in one variant. Rates are means over seeds, from 0 to 1.

    `group` and `column` are those of the grid: what it is averaged with, and where it stands in its protocol's table.
    `low` and `high` are the means of the seeds' interval bounds: with one seed, that seed's own interval.
    """

    protocol: str
    system: str
    train: str
    test: str
    variant: str
    group: str
    column: str
    n_trials: int
    macro_f1: float
    low: float | None
    high: float | None
    accuracy: float
    balanced_accuracy: float
    by_seed: tuple[tuple[str, float], ...]  # macro-F1 of each seed
    sd: float | None  # of macro-F1 over seeds; none with one seed


@dataclass(frozen=True)
class Order:
    """The order of names: first as the config has them, then by themselves, numbers as numbers."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, *lists: object) -> "Order":
        """From lists of the config; what is not a list is passed over."""
        named = [str(name) for names in lists if isinstance(names, list | tuple) for name in names]
        return cls(tuple(dict.fromkeys((*named, "all", *VARIANTS))))

    def rank(self, name: str) -> tuple:
        """A sort key."""
        if name in self.names:
            return 0, self.names.index(name)
        return 1, [(int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]

    def unique(self, names: Iterable[str]) -> list[str]:
        """Every name once, in order."""
        return sorted(set(names), key=self.rank)

    def sort_cells(self, cells: Iterable[Cell], layout: Layout) -> list[Cell]:
        """Cells by protocol and system, then as in the grid, then by variant."""
        place = {name: index for index, name in enumerate(layout)}
        return sorted(
            cells,
            key=lambda cell: (
                self.rank(cell.protocol),
                self.rank(cell.system),
                place[cell.protocol, cell.train, cell.test],
                self.rank(cell.variant),
            ),
        )


def cells_of(metrics: Iterable[Mapping[str, str]], summary: Iterable[Mapping[str, str]], layout: Layout) -> list[Cell]:
    """Cells from the rows of `metrics.tsv`, one per seed, and of `summary.tsv`, which has the deviation.

    A row without a macro-F1 (a test set without trials) is no cell.

    Raises:
        UserError: a value is not a number, or the grid has no such cell.
    """
    key_columns = ("protocol", "system", "train", "test", "variant")
    deviation = {tuple(row[column] for column in key_columns): row["macro_f1_sd"] for row in summary}
    seeds = defaultdict(list)
    for row in metrics:
        if _number(row["macro_f1"]) is not None:
            seeds[tuple(row[column] for column in key_columns)].append(row)
    return [_cell(key, rows, deviation.get(key, ""), layout) for key, rows in seeds.items()]


def group(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells by the group that they are averaged with."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.group, []).append(cell)
    return found


def mean(cells: Sequence[Cell]) -> float | None:
    """Mean macro-F1 of cells; none if there are none."""
    return fmean(cell.macro_f1 for cell in cells) if cells else None


def pick(cells: Iterable[Cell], **values: str) -> list[Cell]:
    """Cells that have all of `values`."""
    return [cell for cell in cells if all(getattr(cell, name) == value for name, value in values.items())]


def _cell(key: tuple[str, ...], rows: Sequence[Mapping[str, str]], deviation: str, layout: Layout) -> Cell:
    protocol, system, train, test, _ = key
    place = layout.get((protocol, train, test))
    if place is None:
        raise UserError(f"metrics: {system} has a cell of {protocol}, {train} → {test}, which the config does not have")
    rows = sorted(rows, key=lambda row: (len(row["seed"]), row["seed"]))
    return Cell(
        *key,
        group=place.group,
        column=place.column,
        n_trials=max(int(row["n_trials"]) for row in rows),
        macro_f1=_mean(rows, "macro_f1") or 0.0,
        low=_mean(rows, "macro_f1_low"),
        high=_mean(rows, "macro_f1_high"),
        accuracy=_mean(rows, "accuracy") or 0.0,
        balanced_accuracy=_mean(rows, "balanced_accuracy") or 0.0,
        by_seed=tuple((row["seed"], float(row["macro_f1"])) for row in rows),
        sd=_number(deviation),
    )


def _mean(rows: Sequence[Mapping[str, str]], column: str) -> float | None:
    values = [_number(row[column]) for row in rows]
    return None if None in values else fmean(values)


def _number(text: str) -> float | None:
    """The number, or none where there is none."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"metrics: {text!r} is not a number") from None
    return value if math.isfinite(value) else None
