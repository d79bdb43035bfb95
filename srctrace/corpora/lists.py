"""Lists that others made: who is in train, dev and eval, and who speaks.

MLAAD's source-tracing protocols are `train.csv`, `dev.csv` and `eval.csv` with `path` and `model_name`; of others,
little is known. So files are found by their names, columns by several names, and what was found is said.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from srctrace.audio import SUFFIXES
from srctrace.corpora.loose import LooseTable, open_loose, split_in, split_named
from srctrace.corpora.mcl_mlaad import FILE as RELEASED
from srctrace.corpora.mlaad import slug
from srctrace.errors import UserError
from srctrace.manifest import Row

TABLES = (".csv", ".tsv", ".txt", ".lst", ".psv")
DEPTHS = (0, 3, 2, 1)  # components of a path that are compared, without its suffix; 0: all
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a list. What is not known is empty; `file` is the list it stands in."""

    path: str
    split: str
    source: str
    language: str
    speaker: str
    file: str


def read_split_lists(path: str | os.PathLike) -> tuple[list[Entry], list[str]]:
    """Who is in which split: from a folder of lists, or one.

    The split is that of a column `split`, else of the file's name, else of the nearest folder's.

    Returns:
        The lines, and what was found, one line per file.

    Raises:
        UserError: nothing was found, a column is missing, or it cannot be told which split a list is of.
    """
    entries, notes = [], []
    for file in _tables(Path(path)):
        table = open_loose(file, ["path"])
        split = "" if "split" in table.columns else _split_of(file, Path(path))
        found = _entries(table, split)
        counts = Counter(entry.split for entry in found)
        notes.append(f"{table.describe()}; {', '.join(f'{name} {count}' for name, count in sorted(counts.items()))}")
        entries += found
    there = {entry.split for entry in entries}
    for split in ("train", "dev", "eval"):
        if split not in there:
            raise UserError(
                f"{path}: no list of {split}: found only {', '.join(sorted(there))}; files:\n" + "\n".join(notes)
            )
    return entries, notes


def read_speaker_lists(path: str | os.PathLike) -> tuple[list[Entry], list[str]]:
    """Who speaks: from a folder of lists, or one; lists without a column of speakers are passed over.

    Raises:
        UserError: no list has a column of speakers.
    """
    entries, notes = [], []
    for file in _tables(Path(path)):
        table = open_loose(file, ["path"])
        if "speaker" in table.columns:
            found = _entries(table, "-")
            notes.append(f"{table.describe()}; {len({entry.speaker for entry in found})} speaker labels")
            entries += found
        else:
            notes.append(f"{table.describe()}; no speakers: passed over")
    if not entries:
        raise UserError(f"{path}: no list with a column of speakers; files:\n" + "\n".join(notes))
    return entries, notes


def apply_splits(rows: Sequence[Row], entries: Sequence[Entry], languages: Sequence[str], where: str) -> list[Row]:
    """The rows that are listed, with the split that they are listed in.

    Raises:
        UserError: an utterance is listed in two splits, with another source than the corpus gives it, or is not in the
            corpus; or a list names other languages.
    """
    file_of: dict[int, str] = {}
    kept: dict[int, str] = {}
    sources = {row["source"] for row in rows}
    for entry, index in _match(rows, entries, languages, where):
        if kept.setdefault(index, entry.split) != entry.split:
            raise UserError(
                f"{where}: {entry.path!r} is in {kept[index]} ({file_of[index]}) and in {entry.split} "
                f"({entry.file}): give the lists of one protocol"
            )
        file_of[index] = entry.file
        source = slug(entry.source)
        if source in sources and source != rows[index]["source"]:
            raise UserError(
                f"{entry.file}: {entry.path!r} is listed as {entry.source!r}, but in the corpus it is of "
                f"{rows[index]['source']!r}: give the lists that belong to this corpus"
            )
    for index, split in kept.items():
        rows[index]["split"] = split
    return [rows[index] for index in sorted(kept)]


def apply_speakers(rows: Sequence[Row], entries: Sequence[Entry], languages: Sequence[str], where: str) -> int:
    """Write the speakers into the rows; returns how many rows have none.

    A label that is a bare number is that of a cluster, which is of one language: it becomes `LANGUAGE-NUMBER`.

    Raises:
        UserError: an utterance has two speakers.
    """
    for entry, index in _match(rows, entries, languages, where, lenient=True):
        row = rows[index]
        number = entry.speaker.removesuffix(".0")
        speaker = f"{row['language']}-{number}" if number.isdigit() else entry.speaker
        if row["speaker"] not in ("", speaker):
            raise UserError(
                f"{entry.file}: {entry.path!r} has speaker {speaker!r}, and elsewhere {row['speaker']!r}: give one list"
            )
        row["speaker"] = speaker
    return sum(not row["speaker"] for row in rows)


def name_sources(rows: Sequence[Row], entries: Sequence[Entry]) -> dict[str, str]:
    """What lists call the sources of a corpus that only numbers them: those whose names of files, of all languages,
    are listed under one model and no other.

    Returns:
        The corpus's source to the lists'; empty if not each has one of its own.
    """
    listed: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for entry in entries:
        if entry.source and not entry.source.isdigit():
            listed[slug(entry.source)].add((_language(entry), _key(entry.path, 1)))
    names: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        names[row["source"]].add((row["language"], _key(row["path"], 1)))
    fitting = {mine: [source for source in listed if files <= listed[source]] for mine, files in names.items()}
    found = {mine: sources[0] for mine, sources in fitting.items() if len(sources) == 1}
    return found if len(found) == len(names) == len(set(found.values())) else {}


def _tables(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder of lists")
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in TABLES and not file.name.startswith("."))
    found = [file for file in found if not file.stem.lower().startswith(("readme", "license"))]
    if not found:
        raise UserError(f"{path}: no lists ({', '.join(TABLES)}) in it")
    return found


def _split_of(file: Path, top: Path) -> str:
    parts = [file.stem, *reversed(file.relative_to(top).parent.parts)] if top.is_dir() else [file.stem]
    for part in parts:
        splits = split_in(part)
        if len(splits) == 1:
            return splits.pop()
        if splits:
            raise UserError(f"{file}: {part!r} could mean {' or '.join(sorted(splits))}: rename it")
    raise UserError(
        f"{file}: which split is it of? Put train, dev or eval into its name or its folder's, or give it a column "
        "'split'"
    )


def _entries(table: LooseTable, split: str) -> list[Entry]:
    """Its lines. `split`: that of all of them; empty: each has its own."""
    file = str(table.path)
    return [
        Entry(
            row["path"],
            split or split_named(row["split"], f"{file}: {row['path']}"),
            row.get("source", ""),
            row.get("language", ""),
            row.get("speaker", ""),
            file,
        )
        for row in table.rows()
    ]


def _match(
    rows: Sequence[Row], entries: Sequence[Entry], languages: Sequence[str], where: str, lenient: bool = False
) -> Iterable[tuple[Entry, int]]:
    """Each entry, with the index of its row.

    Paths are compared whole; then, without their suffixes, by their last three, two and one components. Where these are
    not unique, language, source, label and split must make them so; by less than its whole path, no entry is matched to
    a row of another language, and by its name alone to none of another source.

    Args:
        lenient: pass over what is not in the corpus, as long as something is.
    """
    left: Sequence[Entry] = entries
    matched = 0
    sources = {row["source"] for row in rows}
    for depth in DEPTHS:
        index_of: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            index_of[_key(row["path"], depth)].append(index)
        unmatched = []
        for entry in left:
            there = index_of.get(_key(entry.path, depth), [])
            if depth:
                language, source = _language(entry), slug(entry.source) if depth == 1 else ""
                there = [
                    index
                    for index in there
                    if language in ("", rows[index]["language"])
                    and (source not in sources or source == rows[index]["source"])
                ]
            one = there[0] if len(there) == 1 else _narrow(entry, there, rows)
            if one is None:
                unmatched.append(entry)
            else:
                matched += 1
                yield entry, one
        left = unmatched
        if not left:
            return
    if lenient and matched:
        return
    _refuse_unmatched(left, len(entries), languages, where)


def _narrow(entry: Entry, candidates: Sequence[int], rows: Sequence[Row]) -> int | None:
    """The one candidate that language, source, label and split leave, if there is one; what fits none tells nothing."""
    source = slug(entry.source)
    released = RELEASED.fullmatch(entry.path.rpartition("/")[2])
    tests: list[Callable[[Row], object]] = [
        lambda row: row["language"] in entry.path.replace("\\", "/").split("/"),
        lambda row: row["source"] in (source, f"system{source}"),
        lambda row: (
            released and (mine := RELEASED.fullmatch(row["path"].rpartition("/")[2])) and mine[2] == released[2]
        ),
        lambda row: row["split"] == entry.split,
    ]
    for test in tests:
        fitting = [index for index in candidates if test(rows[index])]
        candidates = fitting or candidates
    return candidates[0] if len(candidates) == 1 else None


def _key(path: str, depth: int) -> str:
    path = path.replace("\\", "/").removeprefix("./")
    if depth == 0:
        return path
    parts = path.split("/")[-depth:]
    released = RELEASED.fullmatch(parts[-1])
    stem, suffix = os.path.splitext(parts[-1])
    parts[-1] = released[4] if released else stem if suffix.lower() in SUFFIXES else parts[-1]
    return "/".join(parts)


def _refuse_unmatched(entries: Sequence[Entry], total: int, languages: Sequence[str], where: str) -> None:
    others = {_language(entry) or _folder(entry) for entry in entries}
    if "" not in others and not others & set(languages):
        every = ", ".join([*languages, *sorted(others)])
        raise UserError(
            f"{where}: the lists name utterances of {len(others)} language(s) that corpus.languages lacks "
            f"({', '.join(sorted(others))}): write\n  languages: [{every}]\nor give lists of fewer languages"
        )
    by_file = defaultdict(int)
    for entry in entries:
        by_file[entry.file] += 1
    shown = ", ".join(repr(entry.path) for entry in entries[:SHOWN])
    counts = ", ".join(f"{count} of {file}" for file, count in sorted(by_file.items()))
    raise UserError(
        f"{where}: {len(entries)} of {total} listed utterances are not in the corpus, or not to be told apart "
        f"there: {shown}{' …' if len(entries) > SHOWN else ''} ({counts}): fetch the missing audio, or the lists that "
        "belong to it"
    )


def _language(entry: Entry) -> str:
    """As its column says, or its path, where that is MLAAD's: `fake/LANGUAGE/SYSTEM/FILE`."""
    if entry.language or "fake/" not in entry.path:
        return entry.language
    parts = entry.path.split("/")
    return parts[parts.index("fake") + 1] if "fake" in parts[:-1] else ""


def _folder(entry: Entry) -> str:
    """What would be its language in a path `LANGUAGE/SYSTEM/FILE`."""
    parts = entry.path.replace("\\", "/").split("/")
    return parts[-3] if len(parts) >= 3 else ""
