"""Tables are tab-separated text with a header line."""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from srctrace.errors import UserError
from srctrace.files import atomic_path


def read_table(path: str | os.PathLike, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table as dictionaries.

    Raises:
        UserError: the file is missing, is not UTF-8 text, lacks one of `columns`, or has a row of another length.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(reader, None)
            if header is None:
                raise UserError(f"{path}: the table is empty: expected a header line with {' '.join(columns)}")
            missing = [column for column in columns if column not in header]
            if missing:
                raise UserError(f"{path}: no column {', '.join(missing)}; found: {', '.join(header)}")
            rows = []
            for number, fields in enumerate(reader, start=2):
                if len(fields) != len(header):
                    raise UserError(f"{path}, line {number}: {len(fields)} fields, but the header has {len(header)}")
                rows.append(dict(zip(header, fields, strict=True)))
            return rows
    except FileNotFoundError:
        raise UserError(f"{path}: no such table") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, where a table is expected") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def write_table(path: str | os.PathLike, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write `columns` of `rows`, atomically. Floats get six decimals, so that a table is the same text every time.

    Raises:
        UserError: a value holds a tab or a line break.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write("\t".join(columns) + "\n")
        for row in rows:
            fields = [as_text(row[column]) for column in columns]
            for column, field in zip(columns, fields, strict=True):
                if "\t" in field or "\n" in field or "\r" in field:
                    raise UserError(f"{path}: column {column} holds a tab or a line break: {field!r}")
            file.write("\t".join(fields) + "\n")


def as_text(value: object) -> str:
    """A value as `write_table` writes it."""
    return f"{value:.6f}" if isinstance(value, float) else str(value)
