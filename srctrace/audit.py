"""What a corpus and its splits give away: leaks, shortcuts, and what trivial systems reach.

Run beside every matrix of results, on any corpus. Every check reports, also when all is well. A `warning` says that
results may mean something else than they seem to; a `note`, what to keep in mind when reading them.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath

import numpy as np
from scipy.stats import rankdata

from srctrace.baselines import METADATA, Row, lfcc_statistics, matrix, metadata
from srctrace.errors import UserError
from srctrace.manifest import COLUMNS as MANIFEST_COLUMNS
from srctrace.metrics import METRICS_COLUMNS
from srctrace.protocol import SPLITS, exact_text, read_any_split
from srctrace.tables import read_table, write_table

FINDINGS_COLUMNS = ("check", "level", "finding")

# Where a finding becomes a note, and where a warning. Conventions, not statistics: the numbers are in the sentences.
IMBALANCE = (1.5, 3.0)  # largest class over smallest
FEW_TRIALS = (20, 10)  # eval utterances of the smallest class
FEW_SPEAKERS = 5  # of the smallest class: fewer say little about how speakers differ
TELLING = (0.75, 0.95)  # AUROC of one fact for one source
GAIN = {"metadata": (0.1, 0.25), "lfcc-statistics": (0.75, np.inf)}  # share of the way from chance to perfect
BASES = {
    "metadata": "Facts about the files (level, silence, length, rate, channels, bandwidth)",
    "lfcc-statistics": "Means and standard deviations of LFCCs over time",
}
PROCESSED_RATE = 16_000  # Hz: a rate below leaves an empty band after resampling, a rate above is cut off
SILENT = -99.99  # dB below full scale; levels stop at -100
FLAT = 0.01  # dB from rms to peak: a constant, or a square wave
UNITS = {"rms": " dB", "peak": " dB", "duration": " s", "sample_rate": " Hz", "bandwidth": " Hz"}


@dataclass(frozen=True)
class Finding:
    """A row of `findings.tsv`. `level` is `ok`, `note` or `warning`; `finding` a sentence."""

    check: str
    level: str
    finding: str


@dataclass(frozen=True)
class Evidence:
    """All that is known of one protocol.

    `cells`: (train, test) conditions. `splits`: condition to the rows of its split table. `utterances`: (utterance,
    split) to such a row, over all conditions. `paths`, `digests`: by utterance. `facts`: by utterance, the `METADATA`.
    `baselines`: rows of the trivial systems.
    """

    cells: Sequence[tuple[str, str]]
    splits: Mapping[str, Sequence[Row]]
    utterances: Mapping[tuple[str, str], Row]
    paths: Mapping[str, str]
    digests: Mapping[str, str]
    facts: Mapping[str, np.ndarray]
    baselines: Sequence[Mapping[str, object]]

    def fact(self, name: str) -> np.ndarray:
        """One of the `METADATA`, for each of `utterances`."""
        column = METADATA.index(name)
        return np.array([self.facts[utterance][column] for utterance, _ in self.utterances])

    def column(self, name: str) -> np.ndarray:
        """A column of the split tables, for each of `utterances`."""
        return np.array([row[name] for row in self.utterances.values()])


def audit(
    *,
    corpus: str,
    protocol: str,
    cells: Sequence[tuple[str, str]],
    manifest: str | os.PathLike,
    splits: str | os.PathLike,
    waves: Iterable[str | os.PathLike],
    features: Iterable[str | os.PathLike],
    out: str | os.PathLike,
) -> None:
    """Write `baselines.tsv` and `findings.tsv` of one protocol into the folder `out`.

    Args:
        cells: (train, test) conditions.
        splits: folder with the split table of each condition, as `{condition}.tsv`.
        waves: the index (`.tsv`) of each language's waves.
        features: the LFCC store (`.npy`) of each language; none leaves the `lfcc-statistics` baseline out.

    Raises:
        UserError: a table or a store is missing or damaged, or an utterance of a split is not in all of them.
    """
    names = sorted({name for cell in cells for name in cell})
    rows = {name: read_any_split(Path(splits) / f"{name}.tsv") for name in names}
    utterances = {(row["utterance"], row["split"]): row for condition in rows.values() for row in condition}
    paths = {row["utterance"]: row["path"] for row in read_table(manifest, MANIFEST_COLUMNS)}
    waves = list(waves)
    facts = {utterance: vector for path in waves for utterance, vector in metadata(path).items()}
    digests = {row["utterance"]: row["digest"] for path in waves for row in read_table(path, ["utterance", "digest"])}
    for utterance, _ in utterances:
        if utterance not in paths or utterance not in facts:
            table = "the index of the waves" if utterance in paths else manifest
            raise UserError(f"utterance {utterance!r} is in a split table but not in {table}: make both again")
    if not utterances:
        raise UserError(f"protocol {protocol}: the split tables are empty: nothing to audit")

    systems = {"metadata": facts}
    statistics = {utterance: vector for path in features for utterance, vector in lfcc_statistics(path).items()}
    if statistics:
        systems["lfcc-statistics"] = statistics
    baselines = sorted(
        matrix(systems, rows, cells, corpus, protocol), key=lambda row: (row["system"], row["train"], row["test"])
    )
    evidence = Evidence(cells, rows, utterances, paths, digests, facts, baselines)
    write_table(Path(out) / "baselines.tsv", METRICS_COLUMNS, baselines)
    write_table(Path(out) / "findings.tsv", FINDINGS_COLUMNS, [vars(finding) for finding in findings(evidence)])


def findings(evidence: Evidence) -> list[Finding]:
    """What every check found, in a fixed order."""
    return [
        _same_utterance(evidence),
        _shared(evidence, "audio", lambda row: evidence.digests[row["utterance"]]),
        _shared(evidence, "path", lambda row: normpath(evidence.paths[row["utterance"]])),
        _shared(evidence, "sentence", exact_text),
        _speaker_marks(evidence),
        _duplicates(evidence),
        _constant(evidence),
        *(_balance(condition, rows) for condition, rows in evidence.splits.items()),
        *(_trials(condition, rows) for condition, rows in evidence.splits.items()),
        _speakers_of_one_source(evidence),
        _native_rates(evidence),
        *(_telling(evidence, name) for name in METADATA),
        *(_baseline(evidence, system) for system in sorted({str(row["system"]) for row in evidence.baselines})),
    ]


def _same_utterance(evidence: Evidence) -> Finding:
    check = "leak: utterance"
    splits_of = Counter(utterance for utterance, _ in evidence.utterances)
    leaked = [utterance for utterance, count in splits_of.items() if count > 1]
    if leaked:
        return Finding(check, "warning", f"{_count(leaked, 'utterance')} in more than one split: {_some(leaked)}.")
    listed = Counter((condition, row["utterance"]) for condition, rows in evidence.splits.items() for row in rows)
    repeated = [f"{utterance} in {condition}" for (condition, utterance), count in listed.items() if count > 1]
    if repeated:
        return Finding(check, "warning", f"{_count(repeated, 'utterance')} listed more than once: {_some(repeated)}.")
    return Finding(check, "ok", f"Each of {_count(splits_of, 'utterance')} is in one split only.")


def _shared(evidence: Evidence, what: str, key_of: Callable[[Row], str]) -> Finding:
    """Utterances that have something in common with one of another split, be it of another condition."""
    check = f"leak: {what}"
    rows = sorted(evidence.utterances.values(), key=lambda row: SPLITS.index(row["split"]))
    known = [row for row in rows if key_of(row)]
    if not known:
        return Finding(check, "note", f"Cannot be checked: no utterance has a known {what}.")
    first: dict[str, Row] = {}
    pairs = [(row, first.setdefault(key_of(row), row)) for row in known]
    leaks = [
        f"{row['utterance']} ({row['split']}) and {other['utterance']} ({other['split']})"
        for row, other in pairs
        if row["split"] != other["split"]
    ]
    if leaks:
        finding = f"{len(leaks)} of {_count(known, 'utterance')} have the same {what} as one of an earlier split: "
        return Finding(check, "warning", f"{finding}{_some(leaks)}.")
    return Finding(check, "ok", f"No two of {_count(known, 'utterance')} in different splits have the same {what}.")


def _speaker_marks(evidence: Evidence) -> Finding:
    """Trials marked as of an unseen speaker, of whom there is something in the train or dev rows of their cell."""
    check = "leak: unseen speaker"
    speakers: dict[str, dict[str, set[str]]] = {}  # condition to mark, or "train", to speakers
    for name, rows in evidence.splits.items():
        speakers[name] = {mark: set() for mark in ("train", "yes", "no")}
        for row in rows:
            if row["split"] == "eval":
                speakers[name].get(row["seen_speaker"], set()).add(row["speaker"])
            elif row["speaker"]:
                speakers[name]["train"].add(row["speaker"])
    unseen, seen = (set().union(*(own[mark] for own in speakers.values())) for mark in ("no", "yes"))
    leaked = set().union(*(speakers[test]["no"] & speakers[train]["train"] for train, test in evidence.cells))
    if leaked:
        finding = (
            f"{len(leaked)} of {_count(unseen, 'speaker')} marked unseen are in train or dev: {_some(sorted(leaked))}."
        )
        return Finding(check, "warning", finding)
    nowhere = sorted(seen.difference(*(own["train"] for own in speakers.values())))
    if nowhere:
        finding = (
            f"{len(nowhere)} of {_count(seen, 'speaker')} marked seen are in no train or dev split: {_some(nowhere)}."
        )
        return Finding(check, "note", finding)
    if not unseen | seen:
        return Finding(check, "note", "Cannot be checked: no speaker is marked seen or unseen.")
    finding = (
        f"{_count(unseen, 'unseen speaker')} not trained on where they are tested, {_count(seen, 'seen speaker')}."
    )
    return Finding(check, "ok", finding)


def _duplicates(evidence: Evidence) -> Finding:
    groups = defaultdict(dict)
    for row in evidence.utterances.values():
        groups[evidence.digests[row["utterance"]]][row["utterance"]] = row
    copies = [list(group.values()) for group in groups.values() if len(group) > 1]
    if not copies:
        total = sum(len(group) for group in groups.values())
        return Finding("duplicate audio", "ok", f"No two of {_count(range(total), 'utterance')} have the same audio.")
    contradictory = sum(len({row["source"] for row in group}) > 1 for group in copies)
    several = f"{sum(map(len, copies))} utterances share their audio with another, in {_count(copies, 'group')}"
    examples = _some([" = ".join(row["utterance"] for row in group[:2]) for group in copies])
    finding = f"{several} ({contradictory} with more than one source), as {examples}."
    return Finding("duplicate audio", "warning", finding)


def _constant(evidence: Evidence) -> Finding:
    peak, rms = evidence.fact("peak"), evidence.fact("rms")
    silent, flat = peak <= SILENT, peak - rms < FLAT
    names = evidence.column("utterance")[silent | flat]
    if len(names):
        finding = f"{_count(names, 'utterance')} of nothing but silence or a constant: {_some(names)}."
        return Finding("constant audio", "warning", finding)
    return Finding("constant audio", "ok", f"None of {_count(peak, 'utterance')} is silent or constant throughout.")


def _balance(condition: str, rows: Sequence[Row]) -> Finding:
    sources = sorted({row["source"] for row in rows})
    parts, missing, worst = [], [], 1.0
    for split in SPLITS:
        count = Counter(row["source"] for row in rows if row["split"] == split)
        if not count:
            continue
        sizes = [count[source] for source in sources]
        missing += [f"{source} in {split}" for source in sources if not count[source]]
        worst = max(worst, max(sizes) / max(1, min(sizes)))
        parts.append(f"{split} {_range(sizes)}")
    text = f"{condition}: utterances a source: {', '.join(parts)}; at most {worst:.1f} to 1."
    if missing:
        return Finding("class balance", "warning", f"{text} None of {_some(missing)}.")
    return Finding("class balance", _level(worst, IMBALANCE), text)


def _trials(condition: str, rows: Sequence[Row]) -> Finding:
    tested = [row for row in rows if row["split"] == "eval"]
    if not tested:
        return Finding("trials", "note", f"{condition}: no eval utterances: it is not a test condition.")
    sources = {row["source"] for row in tested}
    sizes = [sum(row["source"] == source for row in tested) for source in sources]
    text = f"{condition}: {_count(tested, 'eval utterance')}, {_range(sizes)} a source"
    level = "warning" if min(sizes) < FEW_TRIALS[1] else "note" if min(sizes) < FEW_TRIALS[0] else "ok"
    if level != "ok":
        text += ", so few that intervals are wide"
    if any(row["speaker"] for row in tested):
        speakers = [len({row["speaker"] for row in tested if row["source"] == source}) for source in sources]
        text += f"; {_range(speakers)} speakers a source"
        if min(speakers) < FEW_SPEAKERS:
            text += ", too few to say how results would change with other speakers"
            level = "note" if level == "ok" else level
    return Finding("trials", level, f"{text}.")


def _speakers_of_one_source(evidence: Evidence) -> Finding:
    check = "speakers of one source"
    sources_of = defaultdict(set)
    for row in evidence.utterances.values():
        if row["speaker"]:
            sources_of[row["speaker"]].add(row["source"])
    if not sources_of:
        return Finding(check, "note", "Cannot be checked: speakers are not known, and may give the source away.")
    alone = sorted(speaker for speaker, sources in sources_of.items() if len(sources) == 1)
    if not alone:
        return Finding(check, "ok", f"Each of {_count(sources_of, 'speaker')} occurs with more than one source.")
    level = "warning" if len(alone) > len(sources_of) / 2 else "note"
    finding = f"{len(alone)} of {_count(sources_of, 'speaker')} occur with one source only and give it away: "
    return Finding(check, level, f"{finding}{_some(alone)}.")


def _native_rates(evidence: Evidence) -> Finding:
    """Sources whose files have sample rates that no other source's files have."""
    rates_of = defaultdict(set)
    for source, rate in zip(evidence.column("source"), evidence.fact("sample_rate"), strict=True):
        rates_of[str(source)].add(int(rate))
    users = Counter(rate for rates in rates_of.values() for rate in rates)
    own = {source: rates for source, rates in rates_of.items() if all(users[rate] == 1 for rate in rates)}
    if len(rates_of) < 2 or not own:
        finding = f"No source has a sample rate of its own: {_some(sorted(users))} Hz over all."
        return Finding("native sample rate", "ok", finding)
    low = any(min(rates) < PROCESSED_RATE for rates in own.values())
    names = [f"{source} ({', '.join(map(str, sorted(rates)))} Hz)" for source, rates in sorted(own.items())]
    consequence = (
        f"below {PROCESSED_RATE} Hz this leaves an empty band that gives the source away"
        if low
        else f"all are brought to {PROCESSED_RATE} Hz, but resampling may leave traces near {PROCESSED_RATE // 2} Hz"
    )
    finding = f"{len(own)} of {_count(rates_of, 'source')} with a sample rate of their own: {_some(names)}; "
    return Finding("native sample rate", "warning" if low else "note", f"{finding}{consequence}.")


def _telling(evidence: Evidence, name: str) -> Finding:
    """How well one fact alone tells one source from the others: AUROC, 0.5 by chance, taken in its better direction.

    A small corpus strays from 0.5 by accident: four standard errors of the Mann-Whitney statistic are forgiven.
    """
    check, unit = f"shortcut: {name}", UNITS.get(name, "")
    values, source = evidence.fact(name), evidence.column("source")
    if np.ptp(values) == 0:
        return Finding(check, "ok", f"It tells no source from another: {values[0]:.5g}{unit} throughout.")
    ranks, n = rankdata(values), len(values)
    best = (0.5, "", 0.5)
    for candidate in np.unique(source):
        inside = source == candidate
        k = int(inside.sum())
        if k < n:
            above = (ranks[inside].sum() - k * (k + 1) / 2) / (k * (n - k))
            accident = 0.5 + 4 * np.sqrt((n + 1) / (12 * k * (n - k)))
            best = max(best, (max(above, 1 - above), str(candidate), accident))
    auroc, candidate, accident = best
    if not candidate:
        return Finding(check, "ok", "There is one source only: nothing to tell apart.")
    level = _level(auroc, TELLING) if auroc > accident else "ok"
    median, others = np.median(values[source == candidate]), np.median(values[source != candidate])
    finding = f"At best it tells {candidate} from the others with an AUROC of {auroc:.2f} (0.5 by chance): "
    return Finding(check, level, f"{finding}median {median:.5g}{unit}, the others' {others:.5g}{unit}.")


def _baseline(evidence: Evidence, system: str) -> Finding:
    rows = [row for row in evidence.baselines if row["system"] == system]
    trained = defaultdict(set)
    for condition, split in evidence.splits.items():
        trained[condition] = {row["source"] for row in split if row["split"] == "train"}
    chance = {row["train"]: 1 / len(trained[row["train"]]) for row in rows}
    same = [row for row in rows if row["train"] == row["test"]]
    other = [row for row in rows if row["train"] != row["test"]]
    parts = []
    for group, where in ((same, "where train and test condition are the same"), (other, "where they differ")):
        if group:
            clear = sum(row["macro_f1_low"] > chance[row["train"]] for row in group)
            mean = np.mean([row["macro_f1"] for row in group])
            parts.append(f"{mean:.2f} {where} ({clear} of {_count(group, 'cell')} clearly above chance)")
    judged = same or rows
    gain = np.mean([(row["macro_f1"] - chance[row["train"]]) / (1 - chance[row["train"]]) for row in judged])
    clear = sum(row["macro_f1_low"] > chance[row["train"]] for row in judged)
    level = _level(gain, GAIN[system]) if clear > len(judged) / 2 else "ok"
    finding = (
        f"{BASES[system]} alone reach a macro-F1 of {', '.join(parts)}; chance is {_range(chance.values(), '.2f')}."
    )
    return Finding(f"baseline: {system}", level, finding)


def _level(value: float, limits: tuple[float, float]) -> str:
    return "warning" if value > limits[1] else "note" if value > limits[0] else "ok"


def _count(items: Sequence | Iterable, noun: str) -> str:
    number = len(items)
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _range(values: Iterable[float], form: str = "") -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def _some(names: Iterable[object], limit: int = 3) -> str:
    names = [str(name) for name in names]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
