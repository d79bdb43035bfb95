"""Packed arrays on disk: one memory-mapped array `X.npy` and one index `X.tsv` per set.

The index has a row per record, in the array's order, with a CRC-32 of the row and the record: a damaged file is noticed
when the record is read, not as a strange score.
"""

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.tables import as_text, read_table, write_table


@dataclass(frozen=True)
class Store:
    """A set opened for reading: `array` is memory-mapped, `rows` is the index."""

    path: Path
    array: np.ndarray
    rows: list[dict[str, str]]
    _sound: set[int] = field(default_factory=set, repr=False)  # records that were checked

    def __len__(self) -> int:
        return len(self.rows)

    def record(self, index: int) -> np.ndarray:
        """Record `index`, checked, together with its row, when it is first read.

        A ragged store gives the record's stretch of axis 0.

        Raises:
            UserError: the record or its row is damaged.
        """
        row = self.rows[index]
        if "start" in row:
            start = int(row["start"])
            record = self.array[start : start + int(row["length"])]
        else:
            record = self.array[index]
        if index not in self._sound:
            if str(_checksum(row, record)) != row["crc32"]:
                raise UserError(
                    f"{self.path}: record {index} or its row in {self.path.with_suffix('.tsv').name} is damaged (the "
                    "checksum differs): delete both files and run again"
                )
            self._sound.add(index)
        return record


def open_store(path: str | os.PathLike, columns: Sequence[str] = ()) -> Store:
    """Open the set whose array is `path` (ends in `.npy`); the index must have `columns`.

    Raises:
        UserError: a file is missing, truncated, not an array, or the two do not belong together.
    """
    path = Path(path)
    index = path.with_suffix(".tsv")
    if path.exists() and not index.exists():
        raise UserError(f"{path}: its index {index.name} is missing: delete the file and run again")
    rows = read_table(index, [*columns, "crc32"])
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: run the workflow to make it") from None
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: damaged ({error}): delete the file and run again") from None
    try:
        expected = sum(int(row["length"]) for row in rows) if rows and "start" in rows[0] else len(rows)
    except (KeyError, ValueError):
        raise UserError(f"{index}: damaged: delete it and {path.name} and run again") from None
    if len(array) != expected:
        raise UserError(
            f"{path}: holds {len(array)} records but its index {index.name} lists {expected}: delete both and run again"
        )
    return Store(path, array, rows)


def write_store(
    path: str | os.PathLike,
    columns: Sequence[str],
    records: Iterable[tuple[dict[str, object], np.ndarray]],
) -> None:
    """Write (row, record) pairs of equal shape and type as a set; memory does not grow with their number."""
    rows = []
    with _npy_stream(path) as write:
        for row, record in records:
            write(record[np.newaxis])
            rows.append({**row, "crc32": _checksum({name: row[name] for name in columns}, record)})
    write_table(Path(path).with_suffix(".tsv"), [*columns, "crc32"], rows)


def write_ragged_store(
    path: str | os.PathLike,
    columns: Sequence[str],
    records: Iterable[tuple[dict[str, object], np.ndarray]],
) -> None:
    """Like `write_store`, for records that differ in length along axis 0; the index gains `start` and `length`."""
    rows = []
    start = 0
    with _npy_stream(path) as write:
        for row, record in records:
            write(record)
            placed = {**{name: row[name] for name in columns}, "start": start, "length": len(record)}
            rows.append({**placed, "crc32": _checksum(placed, record)})
            start += len(record)
    write_table(Path(path).with_suffix(".tsv"), [*columns, "start", "length", "crc32"], rows)


def _checksum(row: Mapping[str, object], record: np.ndarray) -> int:
    """CRC-32 of a row, as the index has it but for its checksum, and its record."""
    text = "\t".join(as_text(value) for name, value in row.items() if name != "crc32")
    return zlib.crc32(np.ascontiguousarray(record), zlib.crc32(text.encode()))


@contextmanager
def _npy_stream(path: str | os.PathLike) -> Iterator:
    """Yield a function that appends arrays along axis 0 of a `.npy` file.

    Plain writes rather than a memory map: a full disk is then an error that can be told, not a bus error. The header
    is written again at the end; NumPy pads it so that the first axis may grow.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        header: dict[str, object] = {}

        def write(array: np.ndarray) -> None:
            if not header:
                header.update(descr=np.lib.format.dtype_to_descr(array.dtype), fortran_order=False)
                header["shape"] = (0, *array.shape[1:])
                np.lib.format.write_array_header_1_0(file, header)
            if header["shape"][1:] != array.shape[1:]:
                raise ValueError(f"{path}: a record of shape {array.shape[1:]} among {header['shape'][1:]}")
            file.write(np.ascontiguousarray(array).data)
            header["shape"] = (header["shape"][0] + len(array), *array.shape[1:])

        yield write
        if not header:
            raise UserError(f"{path}: nothing to write: the set has no records")
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, header)
