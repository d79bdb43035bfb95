"""Pseudo-speakers of the built-in corpus, whose speakers are known; and of corpora that do not fit together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from srctrace.cli import main
from srctrace.corpora.builtin import IN_SET, BuiltinOptions, speak
from srctrace.errors import UserError
from srctrace.manifest import COLUMNS as MANIFEST_COLUMNS
from srctrace.manifest import build_manifest, read_manifest, write_manifest, write_sources
from srctrace.rng import generator
from srctrace.speakers.cluster import COLUMNS, ClusterOptions, cluster_speakers
from srctrace.speakers.embed import embed_waves
from srctrace.speakers.quality import COLUMNS as QUALITY_COLUMNS
from srctrace.speakers.unseen import draw_unseen
from srctrace.store import write_store
from srctrace.tables import read_table
from srctrace.waves import pack_waves

SPEAKERS = 6
OPTIONS = ClusterOptions(most=12, starts=4)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A folder with the manifest, label map and embeddings of a small built-in corpus in English."""
    pytest.importorskip("espeakng_loader", reason="the built-in corpus is optional")
    root = tmp_path_factory.mktemp("corpus")
    rows = build_manifest(speak("en", IN_SET, [], root, BuiltinOptions(speakers=SPEAKERS), processes=2), IN_SET)
    write_manifest(root / "scanned.tsv", rows)
    write_sources(root / "sources.tsv", IN_SET)
    pack_waves(rows, root, root / "waves" / "en.npy", 4.0, seed=0)
    embed_waves(root / "waves" / "en.npy", root / "en.npy", model="", device="cpu", threads=1)
    return root


def cluster(corpus: Path, out: Path, options: ClusterOptions, manifest: Path | None = None) -> tuple[list, list, list]:
    """The rows of the manifest, of `clusters.tsv` and of `quality.tsv`."""
    scanned, embeddings = manifest or corpus / "scanned.tsv", sorted(corpus.glob("*.npy"))
    cluster_speakers(scanned, corpus / "sources.tsv", embeddings, out / "manifest.tsv", out, options)
    tables = (("clusters", COLUMNS), ("quality", QUALITY_COLUMNS))
    return read_manifest(out / "manifest.tsv"), *(read_table(out / f"{name}.tsv", columns) for name, columns in tables)


def test_pseudo_speakers_are_much_like_the_true_ones(corpus, tmp_path):
    rows, clusters, (quality,) = cluster(corpus, tmp_path, OPTIONS)
    assert quality["embedding"] == "LFCC statistics"
    assert SPEAKERS - 2 <= int(quality["clusters"]) <= SPEAKERS + 2
    assert float(quality["adjusted_rand"]) > 0.6
    assert float(quality["purity"]) > 0.6
    assert float(quality["normalised_information"]) < 0.2
    assert quality["level"] == "ok"
    # The figures are those of the table of clusters, and far from what shuffled labels give.
    truth, found = ([row[column] for row in clusters] for column in ("true_speaker", "speaker"))
    assert float(quality["adjusted_rand"]) == pytest.approx(adjusted_rand_score(truth, found), abs=1e-6)
    rng = generator("shuffled")
    assert max(adjusted_rand_score(truth, rng.permutation(found)) for _ in range(100)) < 0.1
    # The manifest differs from what was scanned in its speakers only.
    assert {row["speaker"] for row in rows} == {f"en-p{k + 1:02d}" for k in range(int(quality["clusters"]))}
    scanned = read_manifest(corpus / "scanned.tsv")
    assert [row | {"speaker": ""} for row in rows] == [row | {"speaker": ""} for row in scanned]
    assert [row["speaker"] for row in scanned] == truth
    assert len(draw_unseen(rows, 0.33, 0)) == round(0.33 * int(quality["clusters"]))


def test_within_a_language_clusters_are_rather_sources(corpus, tmp_path):
    by_source, by_language = (
        cluster(corpus, tmp_path / kind, replace(OPTIONS, clusters=SPEAKERS, standardise=kind))[2][0]
        for kind in ("source", "language")
    )
    assert by_source["chosen"] == by_language["chosen"] == "given"
    assert float(by_source["adjusted_rand"]) > float(by_language["adjusted_rand"]) + 0.2
    assert float(by_language["normalised_information"]) > float(by_source["normalised_information"]) + 0.3
    assert by_language["level"] == "warning"


@pytest.mark.parametrize("speaker", ["s01", "s04"])
def test_a_source_of_one_speaker_is_noticed(speaker, corpus, tmp_path):
    rows = [
        row for row in read_manifest(corpus / "scanned.tsv") if row["source"] != "klatt5" or row["speaker"] == speaker
    ]
    write_manifest(tmp_path / "scanned.tsv", rows)
    for kind in ("source", "language"):
        options = replace(OPTIONS, standardise=kind)
        quality = cluster(corpus, tmp_path / kind, options, manifest=tmp_path / "scanned.tsv")[2][0]
        assert quality["level"] == "warning"
        if kind == "source":
            assert "Divided though nothing divides them (silhouette below 0.15): klatt5" in quality["finding"]


def made_up(folder: Path, languages=("en", "de")) -> list[dict[str, str]]:
    """Speakers who are directions, the same in every language, under two sources that add something of their own."""
    rng = generator("made-up embeddings")
    speakers = {f"s{number}": rng.standard_normal(16) for number in range(5)}
    sources = {"a": rng.standard_normal(16), "b": rng.standard_normal(16)}
    rows = []
    for language in languages:
        records = []
        for source, shift in sources.items():
            for speaker, vector in speakers.items():
                for number in range(8):
                    utterance = f"{language}/{source}/{speaker}-{number}"
                    row = dict.fromkeys(MANIFEST_COLUMNS, "") | {"utterance": utterance, "path": f"{utterance}.wav"}
                    rows.append(row | {"language": language, "source": source, "speaker": speaker})
                    record = 3 * shift + vector + 0.2 * rng.standard_normal(16)
                    records.append(({"utterance": utterance}, record.astype(np.float32)))
        write_store(folder / f"{language}.npy", ["utterance"], records)
        (folder / f"{language}.json").write_text('{"embedding": "made up"}')
    write_manifest(folder / "scanned.tsv", rows)
    write_sources(folder / "sources.tsv", ["a", "b"])
    return rows


def test_ids_hold_across_languages_if_asked_for(tmp_path):
    made_up(tmp_path)
    rows, clusters, quality = cluster(tmp_path, tmp_path / "each", OPTIONS)
    assert [row["language"] for row in quality] == ["de", "en"]
    assert {row["speaker"] for row in rows} == {f"{language}-p0{k}" for language in ("de", "en") for k in range(1, 6)}
    assert all(row["speaker"].startswith(row["language"]) for row in clusters)
    rows, _, (quality,) = cluster(tmp_path, tmp_path / "all", replace(OPTIONS, across_languages=True))
    assert (quality["language"], quality["adjusted_rand"]) == ("all", "1.000000")
    for language in ("de", "en"):
        assert {row["speaker"] for row in rows if row["language"] == language} == {f"p0{k}" for k in range(1, 6)}


def test_the_same_command_writes_the_same_bytes(tmp_path):
    made_up(tmp_path)
    command = ["cluster-speakers", "--manifest", tmp_path / "scanned.tsv", "--label-map", tmp_path / "sources.tsv"]
    command += ["--embeddings", tmp_path / "en.npy", tmp_path / "de.npy", "--no-across-languages", "--most", "8"]
    written = []
    for name in ("first", "second"):
        out = tmp_path / name
        assert main([*map(str, command), "--out", str(out / "manifest.tsv"), "--folder", str(out)]) == 0
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert set(written[0]) == {"manifest.tsv", "clusters.tsv", "quality.tsv"}
    assert written[0] == written[1]


def test_unknown_speakers_stay_unknown(tmp_path):
    rows = [row | {"speaker": ""} for row in made_up(tmp_path)]
    write_manifest(tmp_path / "scanned.tsv", rows)
    _, clusters, quality = cluster(tmp_path, tmp_path / "out", OPTIONS)
    assert {row["true_speaker"] for row in clusters} == {""}
    assert {(row["n_speakers"], row["purity"], row["adjusted_rand"]) for row in quality} == {("", "", "")}


def test_what_does_not_fit_together_is_refused(tmp_path):
    rows = made_up(tmp_path)
    for options, message in (
        (replace(OPTIONS, clusters=1), "cannot become 1 to 1 clusters"),
        (replace(OPTIONS, clusters=81), r"80 utterances \(de\) cannot become 81 to 81 clusters"),
        (replace(OPTIONS, least=9, most=8), "cannot become 9 to 8 clusters"),
    ):
        with pytest.raises(UserError, match=message):
            cluster(tmp_path, tmp_path / "out", options)
    write_manifest(tmp_path / "more.tsv", [*rows, rows[0] | {"utterance": "en/a/new", "path": "new.wav"}])
    with pytest.raises(UserError, match="1 utterances have no speaker embedding, as 'en/a/new'"):
        cluster(tmp_path, tmp_path / "out", OPTIONS, manifest=tmp_path / "more.tsv")
    (tmp_path / "de.json").write_text('{"embedding": "other"}')
    with pytest.raises(UserError, match=r"different origin.*de.npy \(other\)"):
        cluster(tmp_path, tmp_path / "out", OPTIONS)
    (tmp_path / "de.json").write_text("{}")
    with pytest.raises(UserError, match=r"de.json: missing or damaged"):
        cluster(tmp_path, tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()
