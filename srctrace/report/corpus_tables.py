"""What the corpus and its splits consist of."""

from collections import Counter
from dataclasses import dataclass

from srctrace.protocol import SPLITS, UNKNOWN_SPLITS
from srctrace.report.inputs import ReportData


@dataclass(frozen=True)
class CorpusTable:
    """Utterances per language and source."""

    sources: list[str]
    rows: list[tuple[str, list[int], int, int]]  # language, utterances of each source, of all, speakers
    utterances: int
    speakers: int


def corpus_table(data: ReportData) -> CorpusTable:
    """Count the manifest."""
    counts = Counter((row["language"], row["source"]) for row in data.manifest)
    sources = data.order.unique(row["source"] for row in data.manifest)
    speakers: dict[str, set[str]] = {}
    for row in data.manifest:
        speakers.setdefault(row["language"], set()).update({row["speaker"]} - {""})
    rows = []
    for language in data.order.unique(speakers):
        per_source = [counts[language, source] for source in sources]
        rows.append((language, per_source, sum(per_source), len(speakers[language])))
    everyone = set().union(*speakers.values())
    return CorpusTable(sources, rows, len(data.manifest), len(everyone))


def split_table(data: ReportData, protocol: str) -> list[dict]:
    """One row per condition: utterances of each split, of unknown sources where there are any, and speakers."""
    table = []
    for condition, rows in data.splits[protocol].items():
        trained = {row["speaker"] for row in rows if row["split"] in ("train", "dev")} - {""}
        tested = {row["speaker"] for row in rows if row["split"] == "eval"} - {""}
        utterances = Counter(row["split"] for row in rows)
        unseen = sum(row["split"] == "eval" and row["seen_speaker"] == "no" for row in rows)
        table.append(
            {
                "condition": condition,
                "utterances": [utterances[split] for split in SPLITS],
                "unknown": [utterances[split] for split in UNKNOWN_SPLITS if any(map(utterances.get, UNKNOWN_SPLITS))],
                "speakers": (len(trained), len(tested)),
                "unseen": unseen,
            }
        )
    return table
