"""Tables that others made: the separator is found out, and columns are known by any of several names."""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from srctrace.audio import SUFFIXES
from srctrace.errors import UserError

SEPARATORS = {"\t": "tab", "|": "|", ",": ",", ";": ";", " ": "space"}

NAMES = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "utterance", "utt", "wav", "wav_path",
             "audio", "audio_path", "audio_file", "utt_id", "utterance_id", "utt_path", "pt", "name"),
    "source": ("source", "model_name", "system", "model", "attack", "attack_id", "source_system", "label", "class",
               "tts", "generator"),
    "language": ("language", "lang", "locale"),
    "speaker": ("speaker", "spk", "pseudo_speaker", "pseudo_speaker_id", "pseudo_speaker_label", "speaker_id",
                "spk_id", "spkid", "speaker_label", "cluster", "cluster_id", "speakerid", "pseudo_spk", "speaker_pred"),
    "split": ("split", "set", "subset", "partition", "fold"),
    "utterance": ("utterance", "utt", "utterance_id", "utt_id"),  # where it is not the path
    "text": ("text", "original_file"),
    "sentence": ("sentence", "sentence_id"),
}  # fmt: skip
"""What a column holds, and the names it may have, the most telling first; case and punctuation do not matter."""


@dataclass(frozen=True)
class LooseTable:
    """A table as it was found. `columns`: what a column holds, to its name there (a number where it has none)."""

    path: Path
    separator: str
    header: list[str]
    columns: dict[str, str]
    positions: dict[str, int]

    def describe(self) -> str:
        """What was found, in a line."""
        read = ", ".join(name if name == kind else f"{name} as {kind}" for kind, name in self.columns.items())
        ignored = [name for name in self.header if name not in self.columns.values()]
        between = f"separated by {SEPARATORS[self.separator]!r}" if self.separator else "one column"
        return f"{self.path}: {between}; read: {read}" + (f"; not read: {', '.join(ignored)}" if ignored else "")

    def rows(self) -> Iterator[dict[str, str]]:
        """Its rows, with the keys of `columns`.

        Raises:
            UserError: a row has another number of fields than the header.
        """
        last: dict[str, str] = {}
        width = len(self.header)
        least = max(self.positions.values()) + 1
        for number, fields in _fields(self.path, self.separator, skip=bool(self.header)):
            if len(fields) < least or (width and len(fields) != width):
                raise UserError(f"{self.path}, line {number}: {len(fields)} fields, but expected {width or least}")
            row = {}
            for kind, position in self.positions.items():
                value = fields[position].strip()
                row[kind] = last[kind] if last.get(kind) == value else value  # a million equal strings are one
            last = row
            yield row


def open_loose(path: str | os.PathLike, needed: Sequence[str]) -> LooseTable:
    """Find out how a table is written. One without a header must have a single field that is a path.

    Raises:
        UserError: it is missing, empty or no text, or a column of `needed` cannot be found.
    """
    path = Path(path)
    first = _first_line(path)
    known = {_plain(name) for names in NAMES.values() for name in names}
    separator = max(
        SEPARATORS,
        key=lambda character: (
            sum(_plain(field) in known for field in _split(first, character)),
            first.count(character) if character != " " else 0,
        ),
    )
    fields = [field.strip() for field in _split(first, separator)]
    header = fields if any(_plain(field) in known for field in fields) else []
    positions: dict[str, int] = {}
    if header:
        plain = [_plain(field) for field in header]
        for kind, names in NAMES.items():
            position = next((plain.index(_plain(name)) for name in names if _plain(name) in plain), None)
            if position is not None and position not in positions.values():
                positions[kind] = position
        columns = {kind: header[position] for kind, position in positions.items()}
    else:
        separator, position = _find_path(first)
        if position is None:
            known_names = "; ".join(f"{kind}: {', '.join(NAMES[kind])}" for kind in needed)
            raise UserError(f"{path}: no column is known by its name in {first[:80]!r}; known names: {known_names}")
        positions, columns = {"path": position}, {"path": f"field {position + 1}"}
    missing = [kind for kind in needed if kind not in positions]
    if missing:
        names = "; ".join(f"{kind}: {', '.join(NAMES[kind])}" for kind in missing)
        found = ", ".join(header) if header else "a table without a header"
        raise UserError(f"{path}: no column for {', '.join(missing)}; found: {found}; known names are {names}")
    if separator not in first:
        separator = ""
    return LooseTable(path, separator, header, columns, positions)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _find_path(line: str) -> tuple[str, int | None]:
    """How to split a line without a header, and which field is a path."""
    for separator in SEPARATORS:
        fields = [field.strip() for field in _split(line, separator)]
        paths = [index for index, field in enumerate(fields) if field.lower().endswith((*SUFFIXES, ".pt"))]
        if len(paths) == 1:
            return separator, paths[0]
    return "", None


def _split(line: str, separator: str) -> list[str]:
    return next(_reader([line], separator), [])


def _reader(lines, separator: str) -> Iterator[list[str]]:
    if separator == " ":
        return (line.split() for line in lines)
    if not separator:
        return ([line.rstrip("\r\n")] for line in lines)
    # Where fields are separated by commas or semicolons, quotes protect these; elsewhere they are text.
    quoting = csv.QUOTE_MINIMAL if separator in ",;" else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=separator, quoting=quoting)


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline().rstrip("\r\n")
    except FileNotFoundError:
        raise UserError(f"{path}: no such table") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, where a table is expected") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    if not line.strip():
        raise UserError(f"{path}: the table is empty, or its first line is")
    return line


def _fields(path: Path, separator: str, skip: bool) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of every line that is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, fields in enumerate(_reader(file, separator), start=1):
                if fields and any(fields) and not (skip and number == 1):
                    yield number, fields
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


SPLIT_NAMES = {
    "train": ("train", "training", "trn", "tr"),
    "dev": ("dev", "development", "val", "valid", "validation"),
    "eval": ("eval", "evaluation", "test", "testing", "tst"),
}
SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}


def split_named(name: str, where: str) -> str:
    """The split that a value of a column means.

    Raises:
        UserError: it is none that is known.
    """
    split = SPLIT_OF.get(name.strip().lower())
    if split is None:
        raise UserError(f"{where}: unknown split {name!r}; known: {', '.join(SPLIT_OF)}")
    return split


def split_in(text: str) -> set[str]:
    """The splits that words of a file's or folder's name mean: `MLAAD_train.csv` is train."""
    return {SPLIT_OF[word] for word in re.split(r"[^a-z]+", text.lower()) if word in SPLIT_OF}
