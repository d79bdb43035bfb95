"""What an utterance is, and the table of them.

A corpus is a folder `language/source/…/*.wav` (as MLAAD's `fake/` is), or a table with at least a path, a language and
a source. Either becomes one manifest.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from srctrace.audio import SUFFIXES
from srctrace.errors import UserError
from srctrace.tables import read_table, write_table

COLUMNS = ("utterance", "path", "language", "source", "speaker", "text", "sentence", "split")
"""Columns of a manifest; `docs/files.md` says what each means."""

SOURCES_COLUMNS = ("source", "set")
"""Columns of `sources.tsv`, the label map: in-set sources in the order of their labels, then those out-of-set."""

SETS = ("in-set", "out-of-set")

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names that become parts of file names and wildcards."""

Row = dict[str, str]


def scan_folder(root: str | os.PathLike, languages: Iterable[str]) -> list[Row]:
    """Utterances of a folder `language/source/…/*`, in a fixed order; speakers and texts are not known.

    The utterance id is the path without its suffix.

    Raises:
        UserError: the folder or a language's folder is missing, or holds no audio.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder: set corpus.path in the config to the corpus's root")
    rows = []
    for language in languages:
        folder = root / language
        if not folder.is_dir():
            there = ", ".join(sorted(child.name for child in root.iterdir() if child.is_dir())) or "none"
            raise UserError(f"{folder}: no folder for language {language!r}; languages found in {root}: {there}")
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise UserError(f"{folder}: no audio files ({', '.join(SUFFIXES)}) in it")
        for path in found:
            relative = path.relative_to(root)
            if len(relative.parts) < 3:
                raise UserError(f"{path}: expected {root}/LANGUAGE/SOURCE/…: this file lies outside a source's folder")
            rows.append(
                {
                    "utterance": relative.with_suffix("").as_posix(),
                    "path": relative.as_posix(),
                    "language": language,
                    "source": relative.parts[1],
                    "speaker": "",
                    "text": "",
                    "sentence": "",
                    "split": "",
                }
            )
    return rows


def read_corpus_tables(paths: Sequence[str | os.PathLike], languages: Iterable[str]) -> list[Row]:
    """Utterances of tables with the columns path, language and source; the manifest's other columns are optional.

    Raises:
        UserError: a column is missing, or a language of `languages` is in none of them.
    """
    table = [row for path in paths for row in read_table(path, ["path", "language", "source"])]
    wanted = list(languages)
    found = {row["language"] for row in table}
    for language in wanted:
        if language not in found:
            names = ", ".join(str(path) for path in paths)
            raise UserError(f"{names}: no utterance of language {language!r}; found: {', '.join(sorted(found))}")
    rows = []
    for row in table:
        if row["language"] in wanted:
            known = {column: row.get(column, "") for column in COLUMNS}
            known["utterance"] = known["utterance"] or Path(row["path"]).with_suffix("").as_posix()
            rows.append(known)
    return rows


def build_manifest(rows: Sequence[Row], sources: Sequence[str], out_of_set: Sequence[str] = ()) -> list[Row]:
    """Keep the utterances of `sources` and `out_of_set`, check them, and put them into a fixed order.

    Raises:
        UserError: a language has fewer than two utterances of one of the `sources`; or see `check_manifest`.
    """
    counts = Counter((row["language"], row["source"]) for row in rows)
    for language in sorted({row["language"] for row in rows}):
        for source in sources:
            count = counts[language, source]
            if count < 2:
                found = ", ".join(sorted({row["source"] for row in rows if row["language"] == language}))
                raise UserError(
                    f"manifest: language {language!r} has {count} utterance(s) of source {source!r}; a source needs "
                    f"training, development and evaluation utterances; sources found: {found}"
                )
    wanted = {*sources, *out_of_set}
    kept = sorted((row for row in rows if row["source"] in wanted), key=lambda row: row["utterance"])
    check_manifest(kept)
    return kept


def check_manifest(rows: Sequence[Row]) -> None:
    """Refuse rows that cannot be told apart, or not be part of file names.

    Raises:
        UserError: an utterance or a path twice, or a name with other characters than those of `SLUG`.
    """
    for column in ("utterance", "path"):
        value, count = next(iter(Counter(row[column] for row in rows).most_common(1)), ("", 0))
        if count > 1:
            raise UserError(f"manifest: {column} {value!r} stands in {count} rows: each may stand in one")
    for column in ("language", "source"):
        for value in sorted({row[column] for row in rows}):
            if not SLUG.fullmatch(value):
                raise UserError(f"manifest: {column} {value!r}: use letters, digits, '.', '_' and '-' only")


def read_manifest(path: str | os.PathLike) -> list[Row]:
    """Rows of a manifest.

    Raises:
        UserError: it is missing or lacks a column.
    """
    return read_table(path, COLUMNS)


def write_manifest(path: str | os.PathLike, rows: Sequence[Row]) -> None:
    """Write a manifest, atomically."""
    write_table(path, COLUMNS, rows)


def read_sources(path: str | os.PathLike) -> tuple[list[str], list[str]]:
    """In-set sources, in the order of their labels, and out-of-set ones, from `sources.tsv`.

    Raises:
        UserError: it is missing, lacks a column, has an unknown set, or fewer than two in-set sources.
    """
    found: dict[str, list[str]] = {kind: [] for kind in SETS}
    for row in read_table(path, SOURCES_COLUMNS):
        if row["set"] not in SETS:
            raise UserError(f"{path}: source {row['source']!r}: unknown set {row['set']!r}; known: {', '.join(SETS)}")
        found[row["set"]].append(row["source"])
    in_set, out_of_set = (found[kind] for kind in SETS)
    if len(in_set) < 2:
        raise UserError(f"{path}: {len(in_set)} in-set source(s): two at least are needed to tell apart")
    return in_set, out_of_set


def write_sources(path: str | os.PathLike, in_set: Sequence[str], out_of_set: Sequence[str] = ()) -> None:
    """Write `sources.tsv`, atomically."""
    rows = [
        {"source": source, "set": kind}
        for kind, names in zip(SETS, (in_set, out_of_set), strict=True)
        for source in names
    ]
    write_table(path, SOURCES_COLUMNS, rows)
