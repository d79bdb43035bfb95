"""What an utterance is, and the table of them.

Every corpus, whatever it comes from (see `srctrace.corpora`), becomes one manifest and one label map.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence

from srctrace.errors import UserError
from srctrace.grid import ALL, BONA_FIDE
from srctrace.tables import read_table, write_table

COLUMNS = ("utterance", "path", "language", "source", "speaker", "text", "sentence", "split")
"""Columns of a manifest; `docs/files.md` says what each means."""

SOURCES_COLUMNS = ("source", "set")
"""Columns of `sources.tsv`, the label map: in-set sources in the order of their labels, then those out-of-set."""

SETS = ("in-set", "out-of-set")

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names that become parts of file names and wildcards."""

LEAST_UTTERANCES = 3
"""Of a source in a language, where splits are to be dealt: one for each."""

Row = dict[str, str]


def new_row(utterance: str, path: str, language: str, source: str, **known: str) -> Row:
    """A row of a manifest; what is not `known` is empty."""
    row = {
        "utterance": utterance,
        "path": path,
        "language": language,
        "source": source,
        "speaker": "",
        "text": "",
        "sentence": "",
        "split": "",
    }
    row.update(known)
    return row


def pick_sources(
    rows: Sequence[Row], languages: Sequence[str], sources: Sequence[str], out_of_set: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """In-set and out-of-set sources of a corpus: those named; else those that are there.

    Without names, and where rows have splits, the sources that are trained on are in-set and all others out-of-set;
    where they have none, the sources that every language has are in-set. Real speech, `bona-fide`, is out-of-set.

    Raises:
        UserError: a named source is nowhere, is in both sets, or has too few utterances of a language to be dealt out;
            or, without names, fewer than two sources are left.
    """
    counts = Counter((row["language"], row["source"]) for row in rows)
    systems = {language: sorted(source for where, source in counts if where == language) for language in languages}
    found = sorted({source for _, source in counts})
    given = any(row["split"] for row in rows)
    _refuse_unknown(("in-set", sources), ("out-of-set", out_of_set), systems, found)
    trained = {row["source"] for row in rows if row["split"] == "train"}
    real = [BONA_FIDE] if BONA_FIDE in found and BONA_FIDE not in out_of_set else []
    out_of_set = [*out_of_set, *real]
    if sources:
        in_set = list(sources)
    elif given:
        in_set = [source for source in found if source in trained and source not in out_of_set]
    else:
        in_set = [
            source
            for source in found
            if source not in out_of_set and all(counts[language, source] for language in languages)
        ]
    for name in {BONA_FIDE, ALL} & {*in_set}:
        raise UserError(f"manifest: a source named {name!r} cannot be in-set: the name has a meaning of its own")
    if len(in_set) < 2:
        reason = "of the split lists' train part" if given else f"in all of {', '.join(languages)}"
        raise UserError(
            f"manifest: {len(in_set)} source(s) {reason}, where two at least are needed: choose other languages or "
            f"name corpus.sources; sources of each language:\n{_listing(systems)}"
        )
    if given:
        never = [source for source in in_set if source not in trained]
        if never:
            raise UserError(f"manifest: source(s) {', '.join(never)}: in no train list: make them out-of-set")
        never_heard = [source for source in found if source not in trained or source == BONA_FIDE]
        return in_set, never_heard if out_of_set == real else out_of_set
    for language in languages:
        for source in in_set:
            count = counts[language, source]
            if count < LEAST_UTTERANCES:
                everywhere = [name for name in found if all(counts[other, name] for other in languages)]
                raise UserError(
                    f"manifest: language {language!r} has {count} utterance(s) of source {source!r}; a source needs "
                    "training, development and evaluation utterances; sources that every language has: "
                    f"{', '.join(everywhere) or 'none'}; sources of each language:\n{_listing(systems)}"
                )
    return in_set, out_of_set


def _refuse_unknown(
    in_set: tuple[str, Sequence[str]],
    out_of_set: tuple[str, Sequence[str]],
    systems: dict[str, list[str]],
    found: Sequence[str],
) -> None:
    both = sorted(set(in_set[1]) & set(out_of_set[1]))
    if both:
        raise UserError(f"manifest: source(s) {', '.join(both)} cannot be in-set and out-of-set")
    for kind, names in (in_set, out_of_set):
        for name in names:
            if name not in found:
                raise UserError(f"manifest: no utterance of {kind} source {name!r}; found:\n{_listing(systems)}")


def _listing(systems: dict[str, list[str]]) -> str:
    return "\n".join(f"  {language}: {', '.join(names) or 'none'}" for language, names in systems.items())


def build_manifest(rows: Sequence[Row], sources: Sequence[str], out_of_set: Sequence[str] = ()) -> list[Row]:
    """Keep the utterances of `sources` and `out_of_set`, check them, and put them into a fixed order.

    Raises:
        UserError: see `check_manifest`.
    """
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
