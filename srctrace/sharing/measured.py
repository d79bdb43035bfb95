"""What a run measured of a model, from the tables beside it, as one JSON."""

import json
import math
from pathlib import Path

from srctrace.errors import UserError
from srctrace.sharing.contents import METRICS
from srctrace.tables import read_table

TABLES = ("metrics", "openset", "calibration")

Measured = dict[str, list[dict[str, str | int | float | None]]]
"""Rows by table, numbers as numbers; a table that is not there is left out."""


def measured(folder: Path) -> Measured:
    """What was measured of the model in `folder`: its tables', or, of an exported model, what was kept of them.

    Raises:
        UserError: a table or the JSON is damaged.
    """
    tables = {name: folder / f"{name}.tsv" for name in TABLES}
    found = {
        name: [{column: _value(text) for column, text in row.items()} for row in read_table(path, [])]
        for name, path in tables.items()
        if path.is_file()
    }
    if found or not (folder / METRICS).is_file():
        return found
    try:
        return json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / METRICS}: damaged ({error}): export the model again") from None


def _value(text: str) -> str | int | float | None:
    """A field as a number where it is one; none where it is empty or no finite number, which JSON cannot hold."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else None
    return text or None
