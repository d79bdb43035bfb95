"""MLAAD as it is released, of any version: `fake/LANGUAGE/SYSTEM/*.wav` with a `meta.csv` in each system's folder.

`meta.csv` has fields separated by `|`, without quoting: `path`, `language` and `model_name`, and in the versions known
`original_file`, `is_original_language`, `duration`, `training_data`, `architecture` and `transcript` too. The source of
an utterance is its `model_name`, made fit for file names.
"""

import csv
import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from srctrace.audio import SUFFIXES
from srctrace.corpora.folder import folders, require_folder
from srctrace.errors import UserError
from srctrace.manifest import Row, new_row

META = "meta.csv"
NEEDED = ("path", "language", "model_name")
WRONG_SEPARATORS = {",": "','", "\t": "a tab", ";": "';'"}


def scan_mlaad(
    root: str | os.PathLike, languages: Sequence[str], wanted: Collection[str] = ()
) -> tuple[list[Row], dict[str, str]]:
    """Utterances of `languages`, in a fixed order, with paths relative to `root`.

    Texts that must not be split are those of one original recording, and those with the same transcript.

    Args:
        root: the folder that holds `fake/`, or that folder itself.
        wanted: systems, by model name, source or folder; none: all. Of others, `meta.csv` is believed.

    Returns:
        The rows; and other names of the sources, by model name and by folder, to the source.

    Raises:
        UserError: a folder, `meta.csv` or column is missing, `meta.csv` has another separator or another language than
            its folder, or what it lists is not what is there.
    """
    root = Path(root)
    fake, prefix = speech_folder(root)
    wanted = {slug(name) for name in wanted}
    rows: list[Row] = []
    aliases: dict[str, str] = {}
    model_of: dict[str, str] = {}
    for language in languages:
        folder = fake / language
        if not folder.is_dir():
            raise UserError(
                f"{folder}: no folder for language {language!r}; languages found in {fake}: {folders(fake)}"
            )
        systems = sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
        if not systems:
            raise UserError(f"{folder}: no folders of systems in it: unpack MLAAD again")
        found = []
        for system in systems:
            meta = folder / system / META
            if not meta.is_file():
                if wanted and slug(system) not in wanted:
                    continue
                raise UserError(
                    f"{meta}: missing: every system's folder of MLAAD has one: unpack it again, or move the folder "
                    f"{system!r} away"
                )
            entries = _read_meta(meta, language)
            if not wanted or wanted & {slug(system), *(slug(model) for _, model, *_ in entries)}:
                _compare(meta, {name for name, *_ in entries})
            for name, model, text, sentence in entries:
                source = slug(model)
                if model_of.setdefault(source, model) != model:
                    raise UserError(
                        f"{meta}: model_name {model!r} and {model_of[source]!r} would both be source {source!r}: "
                        "rename one"
                    )
                aliases[model] = source
                aliases.setdefault(system, source)
                place = f"{language}/{system}/{name}"
                utterance = os.path.splitext(place)[0]
                found.append(new_row(utterance, prefix + place, language, source, text=text, sentence=sentence))
        _join_texts(found)
        rows += found
    return rows, aliases


def speech_folder(root: Path) -> tuple[Path, str]:
    """The folder `fake`, and what comes before a language in paths relative to `root`.

    Raises:
        UserError: there is none.
    """
    require_folder(root)
    if (root / "fake").is_dir():
        return root / "fake", "fake/"
    if root.name == "fake":
        return root, ""
    raise UserError(
        f"{root}: no folder fake/ in it: corpus.path is to be the folder that MLAAD was unpacked into; folders found: "
        f"{folders(root)}"
    )


def slug(model: str) -> str:
    """A model's name as it can stand in file names: `tts_models/en/ljspeech/vits` is `tts_models_en_ljspeech_vits`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", model).lstrip("._-")


def _read_meta(meta: Path, language: str) -> list[tuple[str, str, str, str]]:
    """File name, model, text and sentence of each line."""
    lines = _lines(meta)
    _, header = next(lines, (1, []))
    columns = {name.strip().lower(): position for position, name in enumerate(header)}
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        for separator, name in WRONG_SEPARATORS.items():
            if len(header) == 1 and len(header[0].split(separator)) > 2:
                raise UserError(
                    f"{meta}, line 1: fields are separated by {name}, where MLAAD has '|': write it again with '|'"
                )
        raise UserError(f"{meta}, line 1: no column {', '.join(missing)}; found: {', '.join(header) or 'nothing'}")
    path, spoken, model_name = (columns[name] for name in NEEDED)
    original, transcript = columns.get("original_file"), columns.get("transcript")
    entries = []
    seen: set[str] = set()
    for number, fields in lines:
        # A transcript is the last column, and may hold the separator.
        if len(fields) < len(header) or (len(fields) > len(header) and transcript != len(header) - 1):
            raise UserError(f"{meta}, line {number}: {len(fields)} fields, but the header has {len(header)}")
        if fields[spoken].strip().lower() != language.lower():
            raise UserError(
                f"{meta}, line {number}: language {fields[spoken]!r}, but the folder is that of {language!r}: put it "
                "where it belongs"
            )
        name = fields[path].strip().replace("\\", "/").rpartition("/")[2]
        if name in seen:
            raise UserError(f"{meta}, line {number}: {name!r} is listed twice")
        seen.add(name)
        model = fields[model_name].strip()
        if not slug(model):
            raise UserError(f"{meta}, line {number}: model_name {model!r} names no system")
        text = "" if original is None else fields[original].strip().removeprefix("./").replace("\t", " ")
        sentence = "" if transcript is None else _digest("|".join(fields[transcript:]))
        entries.append((name, model, text, sentence))
    if not entries:
        raise UserError(f"{meta}: lists no utterances: unpack MLAAD again")
    return entries


def _lines(meta: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of every line that is not empty. Quotes are part of the transcripts."""
    try:
        with meta.open(encoding="utf-8-sig", newline="") as file:
            for fields in (reader := csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE)):
                if fields:
                    yield reader.line_num, fields
    except UnicodeDecodeError as error:
        raise UserError(f"{meta}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def _compare(meta: Path, listed: set[str]) -> None:
    """What is listed must be there, and the other way round."""
    with os.scandir(meta.parent) as files:
        there = {file.name for file in files if file.name.lower().endswith(SUFFIXES)}
    missing = sorted(listed - there)
    if missing:
        raise UserError(
            f"{meta}: lists {missing[0]!r}, which is not in the folder ({len(missing)} of {len(listed)} listed files "
            "are missing): fetch that part of MLAAD again"
        )
    surplus = sorted(there - listed)
    if surplus:
        raise UserError(
            f"{meta.parent / surplus[0]}: not listed in {META} ({len(surplus)} of {len(there)} files are not): fetch "
            f"{META} again, or move the file away"
        )


def _digest(transcript: str) -> str:
    """A short id of a text, whatever its case and spaces; empty for an empty one."""
    words = " ".join(unicodedata.normalize("NFKC", transcript).casefold().split())
    return blake2b(words.encode(), digest_size=8).hexdigest() if words else ""


def _join_texts(rows: Sequence[Row]) -> None:
    """Make one text of those with the same sentence: many books begin alike, and no sentence may be in two splits."""
    parent: dict[str, str] = {}

    def root_of(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = text = parent[parent[text]]
        return text

    first: dict[str, str] = {}
    for row in rows:
        if row["text"] and row["sentence"]:
            one, other = sorted((root_of(row["text"]), root_of(first.setdefault(row["sentence"], row["text"]))))
            parent[other] = one
    for row in rows:
        if row["text"]:
            row["text"] = root_of(row["text"])
