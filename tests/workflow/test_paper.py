"""The paper's run on a tree as MLAAD is released: it plans as it is, and runs, at a tiny size, through every protocol.

The audio is the built-in corpus's; noise and impulse responses lie as in MUSAN and RIRS_NOISES.
"""

import copy
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from srctrace.corpora.builtin import BuiltinOptions, make_noise, speak
from srctrace.protocol import SplitOptions, assign
from srctrace.tables import read_table
from tests.mlaad_tree import (
    model_name,
    write_mcl_mlaad_tree,
    write_mlaad_tree,
    write_noise_as_released,
    write_split_lists,
)
from tests.workflow.conftest import ROOT, Run

pytestmark = [pytest.mark.workflow, pytest.mark.paper]

SOURCES = ("formant", "klatt1", "klatt2", "klatt5")
UNKNOWN = ("klatt4", "lpc")
SPOKEN = {"en": "it", "de": "pl", "fr": "ru"}


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    """`data/` as the downloads leave it: mlaad, mcl-mlaad, the released lists, musan, RIRS_NOISES."""
    folder = tmp_path_factory.mktemp("released")
    rows = []
    for language, other in SPOKEN.items():  # the other language's part has the same audio: it is planned with only
        spoken = speak(language, SOURCES, UNKNOWN, folder / "spoken", BuiltinOptions(speakers=4), processes=2)
        rows += spoken
        rows += [row | {"language": other, "utterance": f"{other}/{row['utterance']}"} for row in spoken]
    make_noise(folder / "spoken", 0, processes=2)
    data = folder / "data"
    write_mlaad_tree(data / "mlaad", rows, folder / "spoken")
    write_noise_as_released(data, folder / "spoken")
    split_of = {row["utterance"]: row["split"] for row in assign(rows, SOURCES, SplitOptions())}
    unknown = [row["utterance"] for row in rows if row["source"] in UNKNOWN]
    split_of |= {name: ("dev", "eval")[number % 2] for number, name in enumerate(unknown)}
    lists = data / "mcl-mlaad-protocols"
    write_split_lists(lists / "Languages Protocol", rows, split_of)
    write_split_lists(lists / "Languages+Speakers Protocol", rows, split_of, speakers=True)
    few = [row for row in rows if row["language"] in SPOKEN]
    write_split_lists(data / "few", few, split_of, speakers=True)
    english = [row for row in rows if row["language"] == "en"]
    write_mcl_mlaad_tree(data / "mcl-mlaad", english, split_of, folder / "spoken")
    return folder


def paper_config() -> dict:
    return yaml.safe_load((ROOT / "config" / "mcl-mlaad.yaml").read_text())


def tiny_config() -> dict:
    config = paper_config()
    config["systems"] = ["lfcc-resnet18", "tiny-matched-aasist"]
    tiny = "data/checkpoints/tiny-wav2vec2"
    config["frontends"] = {
        "tiny": tiny,
        "tiny-frozen": {"checkpoint": tiny, "mode": "frozen", "layers": 1},
        "tiny-matched": {"matched": dict.fromkeys(SPOKEN, "tiny-frozen"), "mixed": "tiny"},
    }
    config["backends"] = {
        "resnet18": {"width": 4},
        "aasist": {"channels": [4], "time_pools": 1, "attention": 4, "graph": 4, "stack": 4},
    }
    config["train"] |= {"epochs": 1, "crop_seconds": 0.5, "variants": ["clean"]}
    config["variants"] = ["clean", "noise", "reverb"]
    config["corpus"]["languages"] = list(SPOKEN)
    config["families"] = {"germanic": ["en", "de"], "romance": ["fr"]}
    config["split"] = {"origin": "given", "lists": "data/few"}
    config["speakers"] = {"lists": "data/few", "across_languages": False}
    config["protocols"] = ["mono", "family", "unseen-language", "unseen-speaker", "pooled", "out-of-set"]
    return config


def test_the_paper_s_grid_plans(released, tmp_path):
    run = Run(tmp_path, paper_config())
    (tmp_path / "data").symlink_to(released / "data")
    done = run.snakemake("--dry-run")
    assert done.returncode == 0, done.stdout[-3000:]
    counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}
    assert counts["train"] == 11 * (6 + 3 + 6)
    assert counts["score_mono"] == counts["measure_mono"] == 11 * 6
    assert sum(count for name, count in counts.items() if name.startswith("score_without")) == 11 * 6
    assert counts["fetch_checkpoint"] == 8
    assert "extract_hidden" not in counts
    # On a cluster, scoring and measuring are grouped, ten models to a job; downloads stay here.
    profile = yaml.safe_load((ROOT / "slurm" / "config.yaml").read_text())
    assert profile["group-components"] == ["score=10"]
    grouped = sum(count for name, count in counts.items() if name.startswith(("score_", "measure_")))
    assert counts["total"] - grouped - counts["fetch_checkpoint"] - counts["all"] + -(-counts["train"] // 10) < 250


@pytest.mark.timeout(900)
def test_every_protocol_runs_on_a_released_tree(released, tmp_path):
    run = Run(tmp_path, tiny_config())
    (tmp_path / "data").symlink_to(released / "data")
    done = run.snakemake("--show-failed-logs")
    assert done.returncode == 0, done.stdout[-5000:]

    results = tmp_path / "results"
    found = read_table(results / "mcl-mlaad" / "sources.tsv", ["source", "set"])
    slug = {source: model_name(source).replace("/", "_") for source in (*SOURCES, *UNKNOWN)}
    assert {row["source"]: row["set"] for row in found} == {
        **{slug[source]: "in-set" for source in SOURCES},
        **{slug[source]: "out-of-set" for source in UNKNOWN},
    }
    cells = {
        (row["protocol"], row["train"], row["test"])
        for row in read_table(results / "metrics.tsv", ["protocol", "train", "test"])
    }
    # Ids of pseudo-speakers do not hold across languages: nobody of the language left out was in training.
    assert Counter(protocol for protocol, _, _ in cells) == {
        "mono": 9,
        "family": 4,
        "unseen-language": 6,
        "unseen-speaker": 9,
        "pooled": 4,
    }
    for name in ("en-out-of-set", "all-out-of-set"):
        rows = read_table(results / "mcl-mlaad" / "splits" / f"{name}.tsv", ["split", "source"])
        unknown = Counter((row["split"], row["source"]) for row in rows if row["split"].endswith("-unknown"))
        assert {source for _, source in unknown} == {slug[source] for source in UNKNOWN}
        assert {split for split, _ in unknown} == {"dev-unknown", "eval-unknown"}
    seen = read_table(results / "mcl-mlaad" / "splits" / "without-en-seen-speakers.tsv", ["speaker", "seen_speaker"])
    unseen = read_table(
        results / "mcl-mlaad" / "splits" / "without-en-unseen-speakers.tsv", ["speaker", "seen_speaker"]
    )
    trained = {
        row["speaker"]
        for row in read_table(results / "mcl-mlaad" / "splits" / "without-en.tsv", ["speaker", "split"])
        if row["split"] == "train"
    }
    assert {row["speaker"] for row in seen} <= trained
    assert not {row["speaker"] for row in unseen} & trained
    assert all(speaker.partition("-")[0] != "en" for speaker in trained)
    page = (results / "report.html").read_text()
    for title in ("Language families", "Seen and unseen languages", "Seen and unseen speakers", "Out-of-set sources"):
        assert title in page


def test_without_lists_the_systems_of_every_language_are_dealt(released, tmp_path):
    """Where texts are known, as MLAAD's are, they are kept apart."""
    config = tiny_config()
    config["split"], config["speakers"] = {}, {}
    config["protocols"] = ["mono"]
    shutil.copytree(released / "data" / "mlaad", tmp_path / "mlaad", copy_function=shutil.copy)
    shutil.rmtree(tmp_path / "mlaad" / "fake" / "fr" / "tts_models_multi_lpc")
    config["corpus"]["path"] = str(tmp_path / "mlaad")
    run = Run(tmp_path, config)
    done = run.snakemake("--show-failed-logs", "--", "results/mcl-mlaad/split.tsv")
    assert done.returncode == 0, done.stdout[-5000:]
    rows = read_table(tmp_path / "results" / "mcl-mlaad" / "sources.tsv", ["source", "set"])
    assert {(row["source"].rpartition("_")[2], row["set"]) for row in rows} == {
        (source, "in-set") for source in (*SOURCES, "klatt4")
    }
    split = read_table(tmp_path / "results" / "mcl-mlaad" / "split.tsv", ["sentence", "language", "split", "origin"])
    splits_of = Counter(key for key in {(row["language"], row["sentence"], row["split"]) for row in split})
    assert len({key[:2] for key in splits_of}) == len(splits_of)
    assert {row["origin"] for row in split} == {"dealt"}


@pytest.mark.timeout(600)
def test_the_released_tensors_are_a_corpus_too(released, tmp_path):
    """Splits are those of their folders; LFCCs those that were released."""
    config = tiny_config()
    config["corpus"] |= {
        "type": "mcl-mlaad",
        "path": "data/mcl-mlaad",
        "languages": ["en"],
        "released_lfcc": True,
    }
    config["split"] = {"origin": "given"}
    config["speakers"] = {}
    config["protocols"] = ["mono"]
    run = Run(tmp_path, copy.deepcopy(config))
    (tmp_path / "data").symlink_to(released / "data")
    done = run.snakemake("--show-failed-logs")
    assert done.returncode == 0, done.stdout[-5000:]
    made = (tmp_path / "results" / "mcl-mlaad" / "features" / "lfcc" / "en.json").read_text()
    assert "released" in made
    assert not list((tmp_path / "results" / "mcl-mlaad").rglob("extract*"))


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (lambda system: (system / "meta.csv").unlink(), "meta.csv"),
        (lambda system: shutil.copy(next(system.glob("*.wav")), system / "stray.wav"), r"stray\.wav"),
        (lambda system: next(system.glob("*.wav")).unlink(), "listed"),
        (
            lambda system: (system / "meta.csv").write_text((system / "meta.csv").read_text().replace("|", ",")),
            "separator|separated",
        ),
        (shutil.rmtree, "fr: |language 'fr'"),
    ],
    ids=["no meta.csv", "not listed", "listed but missing", "separator", "a language without a system"],
)
def test_a_wrong_tree_is_told_what_is_wrong(released, tmp_path, breaks, message):
    config = tiny_config()
    config["corpus"]["sources"] = [model_name(source) for source in SOURCES]
    config["split"], config["speakers"] = {}, {}
    config["protocols"] = ["mono"]
    shutil.copytree(released / "data" / "mlaad", tmp_path / "mlaad")
    breaks(tmp_path / "mlaad" / "fake" / "fr" / "tts_models_multi_klatt2")
    config["corpus"]["path"] = str(tmp_path / "mlaad")
    done = Run(tmp_path, config).snakemake("--show-failed-logs", "--", "results/mcl-mlaad/manifest.tsv")
    assert done.returncode != 0
    assert re.search(message, done.stdout), done.stdout[-3000:]
    assert "Traceback" not in done.stdout
