"""Splits: who is in train, dev and eval, and the refusal of leaks.

An utterance has one split in the whole corpus, so that no pair of train and test conditions can leak. Speakers marked
unseen are in eval only. Texts are never shared between splits: whole groups (the manifest's `text`, else its
`sentence`, else the utterance) are dealt out.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from srctrace.errors import UserError
from srctrace.rng import generator
from srctrace.tables import read_table, write_table

SPLITS = ("train", "dev", "eval")
COLUMNS = ("split", "utterance", "language", "source", "speaker", "sentence", "seen_speaker")
"""Columns of a split table; `docs/files.md` says what each means."""

Row = dict[str, str]


@dataclass(frozen=True)
class SplitOptions:
    """How utterances are dealt out."""

    seed: int = field(default=0, metadata={"help": "the protocol's seed: the same for every model and training seed"})
    unseen_speakers: float = field(default=0.33, metadata={"help": "share of speakers that are in eval only", "low": 0})
    dev: float = field(default=0.15, metadata={"help": "share of text groups in dev", "low": 0})
    eval: float = field(default=0.25, metadata={"help": "share of text groups in eval", "low": 0})


def assign(manifest: Sequence[Row], sources: Sequence[str], options: SplitOptions) -> list[Row]:
    """Split-table rows of all in-set utterances that have a split.

    Unseen speakers are in eval only. Where texts are not known, all their utterances are; where they are, those with
    train or dev texts have no split and are left out.

    Raises:
        UserError: a source of a language is missing in a split.
    """
    in_set = [row for row in manifest if row["source"] in set(sources)]
    unseen = _draw_unseen_speakers({row["speaker"] for row in in_set if row["speaker"]}, options)
    text_split = _deal_texts(in_set, options)
    rows = []
    for row in in_set:
        split = text_split[row["language"], _text(row)]
        if row["speaker"] in unseen and not (row["text"] or row["sentence"]):
            split = "eval"
        if row["speaker"] not in unseen or split == "eval":
            rows.append({**{column: row[column] for column in COLUMNS if column in row}, "split": split})
    _require_every_class(rows, sources)
    trained = {row["speaker"] for row in rows if row["split"] == "train"}
    chosen = {row["speaker"] for row in rows if row["split"] == "dev"} - trained
    for row in rows:
        known = row["speaker"] and row["speaker"] not in chosen
        row["seen_speaker"] = ("yes" if row["speaker"] in trained else "no") if known else ""
    return rows


def write_conditions(rows: Sequence[Row], conditions: Mapping[str, Sequence[str]], folder: str | os.PathLike) -> None:
    """Write one split table per condition (a name and its languages) into `folder`."""
    for name, languages in conditions.items():
        write_table(Path(folder) / f"{name}.tsv", COLUMNS, [row for row in rows if row["language"] in languages])


def read_split(path: str | os.PathLike) -> list[Row]:
    """Rows of a split table.

    Raises:
        UserError: a column is missing, a split is unknown, or it leaks (see `refuse_leaks`).
    """
    rows = read_table(path, COLUMNS)
    for row in rows:
        if row["split"] not in SPLITS:
            raise UserError(f"{path}: utterance {row['utterance']!r}: unknown split {row['split']!r}")
    refuse_leaks(rows, str(path))
    return rows


def refuse_leaks(rows: Iterable[Row], where: str, digests: Mapping[str, str] | None = None) -> None:
    """Refuse what would make scores meaningless.

    Args:
        digests: utterance to the digest of its audio, where it is known.

    Raises:
        UserError: an utterance, its audio or its sentence is in two splits, or a speaker is marked unseen and is in
            train or dev.
    """
    rows = list(rows)
    count = Counter(row["utterance"] for row in rows).most_common(1)
    if count and count[0][1] > 1:
        raise UserError(f"{where}: leak: utterance {count[0][0]!r} is listed {count[0][1]} times")
    key_of = {"sentence": exact_text}
    if digests is not None:
        key_of["audio"] = lambda row: digests[row["utterance"]]
    for kind, key in key_of.items():
        first: dict[str, Row] = {}
        for row in rows:
            other = first.setdefault(key(row), row) if key(row) else row
            if other["split"] != row["split"]:
                raise UserError(
                    f"{where}: leak: {row['utterance']!r} ({row['split']}) and {other['utterance']!r} "
                    f"({other['split']}) have the same {kind}: put them into one split or remove one"
                )
    trained = {row["speaker"] for row in rows if row["speaker"] and row["split"] != "eval"}
    for row in rows:
        if row["seen_speaker"] == "no" and row["speaker"] in trained:
            raise UserError(
                f"{where}: leak: speaker {row['speaker']!r} of {row['utterance']!r} is marked unseen but is in train "
                "or dev"
            )


def exact_text(row: Row) -> str:
    """What was said, empty if not known. The same id in another language is another text."""
    return f"{row['language']}\t{row['sentence']}" if row["sentence"] else ""


def _text(row: Row) -> str:
    return row["text"] or row["sentence"] or row["utterance"]


def _draw_unseen_speakers(speakers: set[str], options: SplitOptions) -> set[str]:
    """Drawn over the whole corpus, not per language: an unseen speaker is unseen in every language."""
    if len(speakers) < 2 or options.unseen_speakers == 0:
        return set()
    count = min(len(speakers) - 1, max(1, round(options.unseen_speakers * len(speakers))))
    order = generator(options.seed, "unseen speakers").permutation(sorted(speakers))
    return {str(speaker) for speaker in order[:count]}


def _deal_texts(rows: Sequence[Row], options: SplitOptions) -> dict[tuple[str, str], str]:
    """(language, text) to split. Texts are dealt within (language, sources that say them), so that where texts are
    single utterances, every source gets its share of each split."""
    sources_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        sources_of[row["language"], _text(row)].add(row["source"])
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for (language, text), sources in sources_of.items():
        strata[language, *sorted(sources)].append(text)
    dealt = {}
    for (language, *sources), texts in strata.items():
        order = generator(options.seed, "texts", language, *sources).permutation(sorted(texts))
        n_eval = max(1, round(options.eval * len(order)))
        n_dev = max(1, round(options.dev * len(order)))
        for index, text in enumerate(order):
            split = "eval" if index < n_eval else "dev" if index < n_eval + n_dev else "train"
            dealt[language, str(text)] = split
    return dealt


def _require_every_class(rows: Sequence[Row], sources: Sequence[str]) -> None:
    counts = Counter((row["language"], row["split"], row["source"]) for row in rows)
    for language in sorted({row["language"] for row in rows}):
        for split in SPLITS:
            for source in sources:
                if counts[language, split, source] == 0:
                    raise UserError(
                        f"protocol: language {language!r} has no {split} utterance of source {source!r}: "
                        "add utterances (or texts), or change split.dev, split.eval or split.unseen_speakers"
                    )
