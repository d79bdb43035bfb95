"""Splits: who is in train, dev and eval, and the refusal of leaks.

An utterance has one split in the whole corpus, so that no pair of train and test conditions can leak. Splits are dealt
here, or given with the corpus. When they are dealt, speakers marked unseen are in eval only, and texts are never shared
between splits: whole groups (the manifest's `text`, else its `sentence`, else the utterance) are dealt out.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from srctrace.errors import UserError
from srctrace.grid import BONA_FIDE, Condition
from srctrace.rng import generator
from srctrace.speakers.unseen import draw_unseen
from srctrace.tables import read_table, write_table

SPLITS = ("train", "dev", "eval")
UNKNOWN_SPLITS = ("dev-unknown", "eval-unknown")
"""Splits of out-of-set utterances: unknown sources to choose a threshold by, and others to test it with."""

COLUMNS = ("split", "utterance", "language", "source", "speaker", "sentence", "seen_speaker", "origin")
"""Columns of a split table; `docs/files.md` says what each means."""

Row = dict[str, str]


@dataclass(frozen=True)
class SplitOptions:
    """How utterances are dealt out."""

    origin: str = field(
        default="dealt", metadata={"help": "dealt here, or given with the corpus", "choices": ["dealt", "given"]}
    )
    seed: int = field(default=0, metadata={"help": "the protocol's seed: the same for every model and training seed"})
    unseen_speakers: float = field(default=0.33, metadata={"help": "share of speakers that are in eval only", "low": 0})
    dev: float = field(default=0.15, metadata={"help": "share of text groups in dev", "low": 0})
    eval: float = field(default=0.25, metadata={"help": "share of text groups in eval", "low": 0})


def assign(
    manifest: Sequence[Row], sources: Sequence[str], options: SplitOptions, out_of_set: Sequence[str] = ()
) -> list[Row]:
    """Split-table rows of all utterances that have a split; those of `out_of_set` sources have one of their own.

    Dealt: unseen speakers are in eval only. Where texts are not known, all their utterances are; where they are, those
    with train or dev texts have no split and are left out.

    Raises:
        UserError: a source of a language is missing in a split; or splits are to be as given, and are not.
    """
    in_set = set(sources)
    known = [row for row in manifest if row["source"] in in_set]
    rows = _as_given(known, sources) if options.origin == "given" else _dealt(known, sources, options)
    trained = {row["speaker"] for row in rows if row["split"] == "train"}
    chosen = {row["speaker"] for row in rows if row["split"] == "dev"} - trained
    rows += _unknown(manifest, out_of_set, options)
    for row in rows:
        is_known = row["speaker"] and row["speaker"] not in chosen
        row["seen_speaker"] = ("yes" if row["speaker"] in trained else "no") if is_known else ""
    return rows


def write_conditions(rows: Sequence[Row], conditions: Iterable[Condition], folder: str | os.PathLike) -> None:
    """Write one split table per condition into `folder`, as `NAME.tsv`.

    Raises:
        UserError: there is nothing to test in a condition.
    """
    for condition in conditions:
        chosen = select(rows, condition)
        if not any(row["split"].startswith("eval") for row in chosen):
            missing = "" if condition.speakers == "all" else f" of speakers {condition.speakers} in training"
            raise UserError(
                f"condition {condition.name!r}: no eval utterance{missing} in {', '.join(condition.languages)}: choose "
                "other protocols, or change split or speakers in the config"
            )
        write_table(Path(folder) / f"{condition.name}.tsv", COLUMNS, chosen)


def select(rows: Sequence[Row], condition: Condition) -> list[Row]:
    """The rows of a condition.

    Where it is about seen or unseen speakers, these are its eval rows of speakers who are in the train rows of the
    languages it names, or in neither their train nor their dev rows; `seen_speaker` then speaks of these languages.
    """
    languages, seen_by = set(condition.languages), set(condition.seen_by)
    wanted = {*SPLITS, *UNKNOWN_SPLITS} if condition.unknown else set(SPLITS)
    inside = [row for row in rows if row["language"] in languages and row["split"] in wanted]
    if condition.speakers == "all":
        return inside
    speakers = {
        split: {row["speaker"] for row in rows if row["split"] == split and row["language"] in seen_by}
        for split in ("train", "dev")
    }
    marked = []
    for row in inside:
        seen = row["speaker"] in speakers["train"]
        kind = "seen" if seen else "" if row["speaker"] in speakers["dev"] else "unseen"
        if row["split"] == "eval" and row["speaker"] and kind == condition.speakers:
            marked.append({**row, "seen_speaker": "yes" if seen else "no"})
    return marked


def read_split(path: str | os.PathLike) -> list[Row]:
    """Rows of a split table. What was dealt here is refused if it leaks; leaks in given splits are the audit's.

    Raises:
        UserError: a column is missing, a split is unknown, or it leaks (see `refuse_leaks`).
    """
    rows = read_any_split(path)
    refuse_leaks((row for row in rows if row["origin"] != "given"), str(path))
    return rows


def read_any_split(path: str | os.PathLike) -> list[Row]:
    """Rows of a split table, whether it leaks or not.

    Raises:
        UserError: a column is missing, or a split is unknown.
    """
    rows = read_table(path, COLUMNS)
    for row in rows:
        if row["split"] not in SPLITS and row["split"] not in UNKNOWN_SPLITS:
            raise UserError(f"{path}: utterance {row['utterance']!r}: unknown split {row['split']!r}")
    return rows


def refuse_leaks(rows: Iterable[Row], where: str, digests: Mapping[str, str] | None = None) -> None:
    """Refuse what would make scores meaningless. Utterances of unknown sources are exempt: no label could leak.

    Args:
        digests: utterance to the digest of its audio, where it is known.

    Raises:
        UserError: an utterance, its audio or its sentence is in two splits, or a speaker is marked unseen and is in
            train or dev.
    """
    rows = [row for row in rows if row["split"] in SPLITS]
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


def _dealt(rows: Sequence[Row], sources: Sequence[str], options: SplitOptions) -> list[Row]:
    unseen = draw_unseen(rows, options.unseen_speakers, options.seed)
    text_split = _deal_texts(rows, options)
    dealt = []
    for row in rows:
        split = text_split[row["language"], _text(row)]
        if row["speaker"] in unseen and not (row["text"] or row["sentence"]):
            split = "eval"
        if row["speaker"] not in unseen or split == "eval":
            dealt.append(_split_row(row, split, "dealt"))
    _require_every_class(dealt, sources)
    return dealt


def _as_given(rows: Sequence[Row], sources: Sequence[str]) -> list[Row]:
    given = [_split_row(row, row["split"], "given") for row in rows if row["split"]]
    trained = {row["source"] for row in given if row["split"] == "train"}
    missing = [source for source in sources if source not in trained]
    if not given or missing:
        what = (
            f"has no train utterance of source {missing[0]!r}" if given else "says of no utterance which split it is in"
        )
        raise UserError(
            f"protocol: split.origin is given, but the corpus {what}: set split.lists to the lists, or split.origin to "
            "dealt"
        )
    return given


def _unknown(manifest: Sequence[Row], out_of_set: Sequence[str], options: SplitOptions) -> list[Row]:
    """Out-of-set utterances: as given, or half of the sources in dev and half in eval, so that a threshold chosen on
    the first is tested on sources that are new to it. One source alone is in eval, and so is real speech."""
    names = sorted({*out_of_set} - {BONA_FIDE})
    order = [str(name) for name in generator(options.seed, "unknown sources").permutation(names)]
    in_dev = set(order[: len(order) // 2])
    rows = []
    for row in manifest:
        if row["source"] == BONA_FIDE and BONA_FIDE in out_of_set:
            rows.append(_split_row(row, UNKNOWN_SPLITS[1], "dealt"))
        elif row["source"] in names:
            dealt = "dev" if row["source"] in in_dev else "eval"
            split = row["split"] if options.origin == "given" else dealt
            if split in ("dev", "eval"):
                rows.append(_split_row(row, f"{split}-unknown", options.origin))
    return rows


def _split_row(row: Row, split: str, origin: str) -> Row:
    return {**{column: row[column] for column in COLUMNS if column in row}, "split": split, "origin": origin}


def _text(row: Row) -> str:
    return row["text"] or row["sentence"] or row["utterance"]


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
