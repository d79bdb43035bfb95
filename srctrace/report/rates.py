"""Means of rates over rows of a table, by what they are about."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from srctrace.errors import UserError

Row = Mapping[str, str]
Means = dict[str, float | None]


def means(
    rows: Iterable[Row], key: Callable[[Row], tuple[str, ...]], columns: Sequence[str]
) -> dict[tuple[str, ...], Means]:
    """Mean of each column over the rows with a key; none where no row has a number there."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return {name: {column: _mean(own, column) for column in columns} for name, own in found.items()}


def number(text: str) -> float | None:
    """The number; none for an empty field, or where there was nothing to compute it from.

    Raises:
        UserError: it is something else.
    """
    try:
        value = float(text or "nan")
    except ValueError:
        raise UserError(f"{text!r} is not a number: delete the table that holds it and run again") from None
    return value if math.isfinite(value) else None


def _mean(rows: Sequence[Row], column: str) -> float | None:
    values = [value for row in rows if (value := number(row[column])) is not None]
    return fmean(values) if values else None
