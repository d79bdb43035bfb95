"""Pseudo-speakers: embeddings clustered, and the clusters written into the manifest as speakers."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srctrace.errors import UserError
from srctrace.manifest import Row, read_manifest, read_sources, write_manifest
from srctrace.speakers.embed import open_embeddings
from srctrace.speakers.gap import choose
from srctrace.speakers.kmeans import Clustering, silhouettes, spherical_kmeans, unit
from srctrace.speakers.quality import COLUMNS as QUALITY_COLUMNS
from srctrace.speakers.quality import Evidence, judge
from srctrace.tables import write_table

COLUMNS = ("utterance", "language", "source", "speaker", "true_speaker", "similarity")
"""Columns of `clusters.tsv`; `docs/files.md` says what each means."""

ALL = "all"  # stands for the language where all are clustered together


@dataclass(frozen=True)
class ClusterOptions:
    """How embeddings are clustered."""

    seed: int = field(default=0, metadata={"help": "draws the starts of the clustering"})
    across_languages: bool = field(default=False, metadata={"help": "cluster all languages together, not each alone"})
    standardise: str = field(
        default="source",
        metadata={
            "help": "embeddings are standardised within each source of a language, or each language",
            "choices": ["source", "language"],
        },
    )
    clusters: int = field(default=0, metadata={"help": "their number (per language); 0: chosen", "low": 0})
    least: int = field(default=2, metadata={"help": "the smallest number that is tried", "low": 2})
    most: int = field(default=40, metadata={"help": "the largest number that is tried", "low": 2})
    starts: int = field(default=8, metadata={"help": "starts, of which the best is kept", "low": 1})


def cluster_speakers(
    manifest: str | os.PathLike,
    sources: str | os.PathLike,
    embeddings: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    folder: str | os.PathLike,
    options: ClusterOptions,
) -> None:
    """Write the manifest with pseudo-speakers to `out`, `clusters.tsv` and `quality.tsv` into `folder`.

    Out-of-set utterances are clustered with the others; quality is judged on in-set ones.

    Args:
        embeddings: one store per language.

    Raises:
        UserError: an utterance has no embedding, stores hold different embeddings, or there are fewer utterances than
            clusters.
    """
    rows = read_manifest(manifest)
    in_set = set(read_sources(sources)[0])
    vectors, name = _read_embeddings(embeddings)
    missing = [row["utterance"] for row in rows if row["utterance"] not in vectors]
    if missing:
        raise UserError(
            f"{manifest}: {len(missing)} utterances have no speaker embedding, as {missing[0]!r}: delete the waves of "
            "its language and run again"
        )
    speaker_of, clusters, quality = {}, [], []
    languages = [ALL] if options.across_languages else sorted({row["language"] for row in rows})
    for language in languages:
        members = [row for row in rows if language in (ALL, row["language"])]
        directions = _standardise(np.stack([vectors[row["utterance"]] for row in members]), members, options)
        clustering, gap, chosen = _cluster(directions, language, options)
        names = _names(clustering.labels, "" if language == ALL else f"{language}-")
        nearness = np.einsum("ij,ij->i", directions, clustering.centres[clustering.labels])
        for row, label, similarity in zip(members, clustering.labels, nearness, strict=True):
            speaker_of[row["utterance"]] = names[label]
            known = {column: row[column] for column in ("utterance", "language", "source")}
            clusters.append(
                {**known, "speaker": names[label], "true_speaker": row["speaker"], "similarity": float(similarity)}
            )
        judged = np.array([row["source"] in in_set for row in members])
        evidence = Evidence(
            sources=np.array([row["source"] for row in members])[judged],
            speakers=np.array([row["speaker"] for row in members])[judged],
            labels=clustering.labels[judged],
            silhouettes=silhouettes(directions, clustering.labels)[judged],
        )
        facts = {"language": language, "embedding": name, "standardised": options.standardise}
        facts |= {"clusters": len(names), "chosen": chosen, "gap": gap}
        quality.append(judge(evidence, facts))
    write_table(Path(folder) / "clusters.tsv", COLUMNS, sorted(clusters, key=lambda row: row["utterance"]))
    write_table(Path(folder) / "quality.tsv", QUALITY_COLUMNS, quality)
    write_manifest(out, [row | {"speaker": speaker_of[row["utterance"]]} for row in rows])


def _read_embeddings(paths: Sequence[str | os.PathLike]) -> tuple[dict[str, np.ndarray], str]:
    vectors: dict[str, np.ndarray] = {}
    made = {}
    for path in paths:
        store, made[str(path)] = open_embeddings(path)
        vectors |= {row["utterance"]: store.record(index) for index, row in enumerate(store.rows)}
    if len(set(made.values())) > 1:
        found = ", ".join(f"{path} ({name})" for path, name in made.items())
        raise UserError(f"speaker embeddings of different origin: {found}: delete them and run again")
    return vectors, next(iter(made.values()))


def _standardise(vectors: np.ndarray, rows: Sequence[Row], options: ClusterOptions) -> np.ndarray:
    """Directions: each dimension with mean 0 and deviation 1 within a source of a language, or a language.

    What all utterances of a source share, its own sound, would else be most of what tells them from others.
    """
    columns = ("language", "source") if options.standardise == "source" else ("language",)
    group_of = np.array(["/".join(row[column] for column in columns) for row in rows])
    standard = np.empty(vectors.shape, dtype=np.float32)
    for group in np.unique(group_of):
        inside = group_of == group
        part = vectors[inside].astype(np.float64)
        deviation = part.std(axis=0)
        standard[inside] = (part - part.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return unit(standard)


def _cluster(directions: np.ndarray, language: str, options: ClusterOptions) -> tuple[Clustering, float | str, str]:
    """The clustering, its gap (empty where none was computed), and how its number of clusters came about."""
    bounds = (options.clusters,) * 2 if options.clusters else (options.least, min(options.most, len(directions)))
    if not 2 <= bounds[0] <= bounds[1] <= len(directions):
        raise UserError(
            f"speakers: {len(directions)} utterances ({language}) cannot become {bounds[0]} to {bounds[1]} clusters: "
            "there are to be 2 at least, and no more than utterances: change speakers.clusters, least or most"
        )
    address = (options.seed, "pseudo-speakers", language)
    if options.clusters:
        return spherical_kmeans(directions, options.clusters, options.starts, *address), "", "given"
    clustering, gap, met = choose(directions, *bounds, options.starts, *address)
    return clustering, gap, "gap statistic" if met else "bound: speakers.most"


def _names(labels: np.ndarray, prefix: str) -> Mapping[int, str]:
    """Cluster to its name: p01 is the largest."""
    found, sizes = np.unique(labels, return_counts=True)
    digits = max(2, len(str(len(found))))
    order = found[np.lexsort((found, -sizes))]
    return {int(label): f"{prefix}p{number:0{digits}d}" for number, label in enumerate(order, start=1)}
