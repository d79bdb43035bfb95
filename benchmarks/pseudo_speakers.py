"""How good pseudo-speakers are where the truth is known: `python benchmarks/pseudo_speakers.py`, about four minutes.

Speaks the built-in corpus with 10 speakers in six languages, embeds it without a model, and clusters it: with the true
number of clusters and with a chosen one, standardised within each source and within each language, each language alone
and all together; with fewer speakers, to see whether their number is found; and with sources of one speaker, to see
whether these are noticed. Writes `benchmarks/results/pseudo_speakers.md`.
"""

import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from sklearn.metrics import adjusted_rand_score

from srctrace import provenance
from srctrace.corpora.builtin import IN_SET, LANGUAGES, BuiltinOptions, speak
from srctrace.manifest import Row, build_manifest, write_manifest, write_sources
from srctrace.rng import generator
from srctrace.speakers.cluster import COLUMNS, ClusterOptions, cluster_speakers
from srctrace.speakers.embed import embed_waves
from srctrace.speakers.quality import COLUMNS as QUALITY_COLUMNS
from srctrace.tables import read_table
from srctrace.waves import pack_waves

SPEAKERS = 10
FEWER = (4, 6, 8, 10)


def main() -> None:
    machine = provenance.machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = prepare(folder)
        lines = [
            "# Pseudo-speakers",
            "",
            f"{machine['processor']}, {machine['cores']} cores. By `benchmarks/pseudo_speakers.py`: the built-in"
            f" corpus, {len(IN_SET)} sources, {SPEAKERS} speakers, {len(rows)} utterances; embeddings are LFCC"
            " statistics. Means over six languages, but where all are clustered together. ARI: adjusted Rand index."
            " Source: share of the source's entropy that the clusters give away.",
            "",
            *qualities(folder, rows),
            "",
            *numbers(folder, rows),
            "",
            *single_speakers(folder, rows),
        ]
    (Path(__file__).parent / "results" / "pseudo_speakers.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def prepare(folder: Path) -> list[Row]:
    """Speak, decode and embed; the rows of the manifest."""
    rows = []
    for language in LANGUAGES:
        spoken = speak(language, IN_SET, [], folder, BuiltinOptions(speakers=SPEAKERS), processes=2)
        pack_waves(spoken, folder, folder / "waves" / f"{language}.npy", 4.0, seed=0, threads=2)
        embed_waves(folder / "waves" / f"{language}.npy", folder / f"{language}.npy", "", "cpu", threads=2)
        rows += spoken
    write_sources(folder / "sources.tsv", IN_SET)
    return build_manifest(rows, IN_SET)


def cluster(folder: Path, rows: Iterable[Row], options: ClusterOptions) -> tuple[list[Row], list[Row]]:
    """Rows of `clusters.tsv` and of `quality.tsv`."""
    write_manifest(folder / "scanned.tsv", rows)
    out, embeddings = folder / "out", sorted(folder.glob("*.npy"))
    cluster_speakers(folder / "scanned.tsv", folder / "sources.tsv", embeddings, out / "manifest.tsv", out, options)
    return read_table(out / "clusters.tsv", COLUMNS), read_table(out / "quality.tsv", QUALITY_COLUMNS)


def qualities(folder: Path, rows: list[Row]) -> list[str]:
    lines = [
        "| standardised within each | clustered | clusters | purity | ARI | ARI, labels shuffled | source |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for across in (False, True):
        for standardise in ("source", "language"):
            for number in (SPEAKERS, 0):
                options = ClusterOptions(across_languages=across, standardise=standardise, clusters=number)
                clusters, quality = cluster(folder, rows, options)
                found = [row["speaker"] for row in clusters]
                shuffled = generator("shuffled").permutation(found)
                chance = adjusted_rand_score([row["true_speaker"] for row in clusters], shuffled)
                chosen = [row["clusters"] for row in quality]
                told = f"{number} given" if number else f"{', '.join(chosen)} chosen"
                values = [mean(quality, "purity"), mean(quality, "adjusted_rand"), f"{chance:.2f}"]
                values.append(mean(quality, "normalised_information"))
                together = "together" if across else "each language"
                lines.append(f"| {standardise} | {together} | {told} | {' | '.join(values)} |")
    return lines


def numbers(folder: Path, rows: list[Row]) -> list[str]:
    lines = [
        "How many clusters are found among the speakers of a language, which differ from language to language.",
        "",
        "| true speakers | chosen, by language | ARI | ARI with the true number |",
        "| --- | --- | --- | --- |",
    ]
    names = sorted({row["speaker"] for row in rows})
    for count in FEWER:
        of = {language: set(generator(language).permutation(names)[:count].tolist()) for language in LANGUAGES}
        kept = [row for row in rows if row["speaker"] in of[row["language"]]]
        _, chosen = cluster(folder, kept, ClusterOptions())
        _, given = cluster(folder, kept, ClusterOptions(clusters=count))
        found = ", ".join(row["clusters"] for row in chosen)
        lines.append(f"| {count} | {found} | {mean(chosen, 'adjusted_rand')} | {mean(given, 'adjusted_rand')} |")
    return lines


def single_speakers(folder: Path, rows: list[Row]) -> list[str]:
    """Each source in turn keeps one speaker, another one in each of three tries."""
    noticed, tried, false = {"source": 0, "language": 0}, 0, 0
    for source in IN_SET:
        for speaker in ("s01", "s02", "s05"):
            kept = [row for row in rows if row["source"] != source or row["speaker"] == speaker]
            for standardise in noticed:
                _, quality = cluster(folder, kept, replace(ClusterOptions(starts=4), standardise=standardise))
                named = [row["finding"].partition("One cluster only")[2] for row in quality]
                named = [
                    text + row["finding"].partition("Divided though")[2]
                    for text, row in zip(named, quality, strict=True)
                ]
                noticed[standardise] += sum(source in text for text in named)
                false += sum(other in text for text in named for other in IN_SET if other != source)
            tried += len(LANGUAGES)
    return [
        f"A source of one speaker, in each of {tried} corpora of a language: noticed in {noticed['source']} where"
        f" embeddings are standardised within each source, in {noticed['language']} where within each language; a"
        f" source of {SPEAKERS} speakers was taken for one of one {false} times.",
    ]


def mean(rows: list[Row], column: str) -> str:
    return f"{fmean(float(row[column]) for row in rows):.2f}"


if __name__ == "__main__":
    sys.exit(main())
