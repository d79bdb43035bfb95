"""How good pseudo-speakers are: what they give away of the source, and how near they are to true speakers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_rand_score, mutual_info_score

COLUMNS = (
    "language",
    "embedding",
    "standardised",
    "n_utterances",
    "n_sources",
    "clusters",
    "chosen",
    "gap",
    "silhouette",
    "mutual_information",
    "normalised_information",
    "n_speakers",
    "purity",
    "adjusted_rand",
    "level",
    "finding",
)
"""Columns of `quality.tsv`; `docs/files.md` says what each means."""

# Where a finding becomes a note, and where a warning; from what was measured: docs/pseudo-speakers.md.
GIVEN_AWAY = (0.25, 0.5)  # share of the source's entropy
UNDIVIDED = 0.15  # mean silhouette of a source's utterances: below, its clusters are no clusters


@dataclass(frozen=True)
class Evidence:
    """Utterances of one clustering, in-set ones only; all of one length.

    `sources`, `speakers`: as the corpus has them, a speaker empty where not known. `labels`: the clusters, from 0.
    `silhouettes`: how much nearer each utterance is to its cluster than to the next.
    """

    sources: np.ndarray
    speakers: np.ndarray
    labels: np.ndarray
    silhouettes: np.ndarray


def information(labels: Sequence, sources: Sequence) -> tuple[float, float]:
    """Mutual information of clusters and sources, in bits, and its share of the sources' entropy (1 for no entropy)."""
    shared = float(mutual_info_score(sources, labels))
    entropy = float(mutual_info_score(sources, sources))
    return shared / np.log(2), shared / entropy if entropy > 0 else 1.0


def purity(labels: np.ndarray, speakers: np.ndarray) -> float:
    """Share of utterances whose speaker is the most frequent one of their cluster."""
    return sum(np.unique(speakers[labels == k], return_counts=True)[1].max() for k in np.unique(labels)) / len(labels)


def judge(evidence: Evidence, facts: Mapping[str, object]) -> dict[str, object]:
    """A row of `quality.tsv`.

    Args:
        facts: `language`, `embedding`, `standardised`, `clusters`, `chosen` and `gap`.
    """
    bits, share = information(evidence.labels, evidence.sources)
    known = evidence.speakers != ""
    measured: dict[str, object] = {"n_speakers": "", "purity": "", "adjusted_rand": ""}
    if known.any():
        labels, speakers = evidence.labels[known], evidence.speakers[known]
        measured["n_speakers"] = len(set(speakers.tolist()))
        measured["purity"] = float(purity(labels, speakers))
        measured["adjusted_rand"] = float(adjusted_rand_score(speakers, labels))
    level, finding = _finding(evidence, facts, measured, share)
    return {
        **facts,
        "n_utterances": len(evidence.labels),
        "n_sources": len(set(evidence.sources.tolist())),
        "silhouette": float(evidence.silhouettes.mean()),
        "mutual_information": bits,
        "normalised_information": share,
        **measured,
        "level": level,
        "finding": finding,
    }


def _finding(evidence: Evidence, facts: Mapping, measured: Mapping, share: float) -> tuple[str, str]:
    sentences = [
        f"{facts['clusters']} clusters ({facts['chosen']}), by {facts['embedding']} standardised within each "
        f"{facts['standardised']}, give away {share:.0%} of the source's entropy."
    ]
    levels = ["ok"]
    if measured["n_speakers"]:
        sentences.append(
            f"Of {measured['n_speakers']} true speakers they have a purity of {measured['purity']:.2f} and an adjusted "
            f"Rand index of {measured['adjusted_rand']:.2f}."
        )
    if share > GIVEN_AWAY[0]:
        levels.append("warning" if share > GIVEN_AWAY[1] else "note")
        much = "largely the source under another name" if share > GIVEN_AWAY[1] else "in part the source"
        sentences.append(f"They are {much}: results by seen and unseen speakers mix up the two.")
    names = np.unique(evidence.sources)
    alone = [name for name in names if len(set(evidence.labels[evidence.sources == name].tolist())) == 1]
    if alone:
        levels.append("warning")
        sentences.append(f"One cluster only, so one speaker perhaps: {', '.join(alone)}.")
    fit = {name: float(evidence.silhouettes[evidence.sources == name].mean()) for name in names if name not in alone}
    undivided = [f"{name} ({value:.2f})" for name, value in fit.items() if value < UNDIVIDED]
    if undivided:
        levels.append("warning")
        sentences.append(
            f"Divided though nothing divides them (silhouette below {UNDIVIDED}): {', '.join(undivided)}: a source of "
            "one speaker perhaps, or too weak an embedding."
        )
    if str(facts["chosen"]).startswith("bound"):
        levels.append("note")
        sentences.append("More clusters than speakers.most might be better.")
    return max(levels, key=("ok", "note", "warning").index), " ".join(sentences)
