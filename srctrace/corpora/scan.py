"""From a corpus on disk to its manifest and its label map, whatever kind of corpus it is."""

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from srctrace.corpora.folder import scan_bona_fide, scan_folder
from srctrace.corpora.lists import apply_speakers, apply_splits, name_sources, read_speaker_lists, read_split_lists
from srctrace.corpora.mcl_mlaad import scan_mcl_mlaad
from srctrace.corpora.mlaad import scan_mlaad
from srctrace.corpora.table import read_corpus_tables
from srctrace.grid import BONA_FIDE
from srctrace.manifest import Row, build_manifest, pick_sources

TYPES = ("builtin", "folder", "table", "mlaad", "mcl-mlaad")
OF_TABLES = ("builtin", "table")


def scan(
    kind: str,
    root: str | os.PathLike,
    tables: Sequence[str | os.PathLike],
    languages: Sequence[str],
    sources: Sequence[str] = (),
    out_of_set: Sequence[str] = (),
    split_lists: str | os.PathLike | None = None,
    speaker_lists: str | os.PathLike | None = None,
    bona_fide: str | os.PathLike | None = None,
) -> tuple[list[Row], list[str], list[str]]:
    """The manifest of a corpus, its in-set sources and its out-of-set ones; says on stderr what was found and picked.

    Args:
        kind: one of `TYPES`; those `OF_TABLES` are read from `tables`, the others from `root`.
        sources: in-set sources; none: see `manifest.pick_sources`.
        split_lists: see `corpora.lists`; utterances that are not listed are left out.
        bona_fide: folder of real speech, see `corpora.folder.scan_bona_fide`.

    Raises:
        UserError: what is wrong with the corpus, the lists, or the choice.
    """
    languages = list(dict.fromkeys(languages))
    aliases: dict[str, str] = {}
    if kind in OF_TABLES:
        rows = read_corpus_tables(tables, languages)
    elif kind == "folder":
        rows = scan_folder(root, languages)
    elif kind == "mlaad":
        # Where lists say what is trained on, every other source may be out-of-set.
        rows, aliases = scan_mlaad(root, languages, () if split_lists or not sources else {*sources, *out_of_set})
    else:
        rows, notes = scan_mcl_mlaad(root, languages)
        _say(notes)
    where = root if kind not in OF_TABLES else ", ".join(str(table) for table in tables)
    _say([f"{where}: {len(rows)} utterances of {len({row['source'] for row in rows})} sources"])
    if split_lists:
        entries, notes = read_split_lists(split_lists)
        _say(notes)
        if kind == "mcl-mlaad":
            _rename(rows, name_sources(rows, entries))
        listed = apply_splits(rows, entries, languages, str(split_lists))
        _say(
            [f"{split_lists}: {len(listed)} utterances are listed; {len(rows) - len(listed)} are not, and are left out"]
        )
        rows = listed
    if speaker_lists:
        entries, notes = read_speaker_lists(speaker_lists)
        _say(notes)
        if kind == "mcl-mlaad":
            _rename(rows, name_sources(rows, entries))
        unknown = apply_speakers(rows, entries, languages, str(speaker_lists))
        _say([f"{speaker_lists}: speakers of {len(rows) - unknown} of {len(rows)} utterances"])
    named = [[aliases.get(name, name) for name in names] for names in (sources, out_of_set)]
    in_set, out = pick_sources(rows, languages, *named)
    if bona_fide:
        real = scan_bona_fide(bona_fide, languages)
        rows, out = [*rows, *real], list(dict.fromkeys([*out, BONA_FIDE]))
        _say([f"{bona_fide}: {len(real)} utterances of real speech"])
    manifest = build_manifest(rows, in_set, out)
    _say(_summary(manifest, in_set, out))
    return manifest, in_set, out


def _rename(rows: Sequence[Row], names: Mapping[str, str]) -> None:
    for row in rows:
        row["source"] = names.get(row["source"], row["source"])
    _say([f"{old} is {new}" for old, new in sorted(names.items()) if old != new])


def _summary(manifest: Sequence[Row], in_set: Sequence[str], out_of_set: Sequence[str]) -> list[str]:
    counts = Counter((row["language"], row["source"]) for row in manifest)
    splits = Counter(row["split"] for row in manifest)
    lines = [f"in-set: {', '.join(in_set)}", f"out-of-set: {', '.join(out_of_set) or 'none'}"]
    for language in dict.fromkeys(row["language"] for row in manifest):
        each = [counts[language, source] for source in in_set]
        lines.append(
            f"{language}: {sum(each)} in-set utterances, {min(each)} to {max(each)} of a source; "
            f"{sum(counts[language, source] for source in out_of_set)} out-of-set"
        )
    if set(splits) != {""}:
        lines.append("splits: " + ", ".join(f"{name or 'not given'} {count}" for name, count in sorted(splits.items())))
    return lines


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)
