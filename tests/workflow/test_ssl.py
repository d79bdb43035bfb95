"""SSL front-ends in the workflow: what depends on what, weights from a hub, and what is said where there are none."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml

from srctrace.frontends.tiny import make_checkpoint
from srctrace.tables import read_table
from tests.frontends.hub_server import serve
from tests.workflow.conftest import ROOT, Run, small_config
from tests.workflow.test_workflow import planned

pytestmark = pytest.mark.workflow
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TINY = "data/checkpoints/tiny-wav2vec2"


def ssl_config(systems: list[str], frontends: dict, **changed) -> dict:
    config = small_config() | {"systems": systems, "frontends": frontends, "variants": ["clean"]} | changed
    config["train"] = {"epochs": 1, "crop_seconds": 0.5, "variants": ["clean"]}
    return config


@pytest.fixture(scope="module")
def tuned_and_frozen(finished, tmp_path_factory) -> Run:
    """A run with an SSL front-end of each mode, and LFCC beside them. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("ssl")
    config = ssl_config(
        ["tuned-ecapa-tdnn", "frozen-resnet18", "lfcc-resnet18"],
        {"tuned": TINY, "frozen": {"checkpoint": TINY, "mode": "frozen", "layers": "weighted"}},
        recipes={"ours": {"epochs": 2, "batch_size": 16, "ssl_lr": 1e-4}},
    )
    config["backends"] |= {"ecapa-tdnn": {"channels": 16, "mfa_channels": 16}}
    run = Run(finished.copy(folder / "run").folder, config)
    (run.folder / "results" / "metrics.tsv").unlink()
    done = run.snakemake("--show-failed-logs")
    assert done.returncode == 0, done.stdout[-5000:]
    return run


def test_systems_are_scored_on_the_same_trials(tuned_and_frozen):
    models = tuned_and_frozen.folder / "results" / "tiny" / "models"
    trials = [
        [
            (row["utterance"], row["variant"], row["label"])
            for row in read_table(models / system / "en" / "seed1" / "scores" / "pl.tsv", ["utterance", "label"])
        ]
        for system in tuned_and_frozen.config["systems"]
    ]
    assert trials[0] == trials[1] == trials[2]
    cells = read_table(tuned_and_frozen.folder / "results" / "metrics.tsv", ["system"])
    assert {row["system"] for row in cells} == set(tuned_and_frozen.config["systems"])


def test_each_mode_leaves_what_it_needs(tuned_and_frozen):
    results = tuned_and_frozen.folder / "results" / "tiny"
    assert sorted(path.name for path in (results / "features").iterdir()) == ["frozen", "lfcc"]
    tuned = json.loads((results / "models" / "tuned-ecapa-tdnn" / "en" / "seed1" / "model.json").read_text())
    assert tuned["ssl"]["architecture"] == "wav2vec2"
    assert tuned["training"]["epochs"] == 2  # of the recipe
    assert tuned["frontend"]["frontend"] == "waves"
    frozen = json.loads((results / "models" / "frozen-resnet18" / "en" / "seed1" / "model.json").read_text())
    assert frozen["ssl"] == {}
    assert frozen["training"]["epochs"] == 1  # of train, as LFCC's
    assert (frozen["frontend"]["layers"], frozen["n_layers"]) == ("weighted", 4)
    page = (tuned_and_frozen.folder / "results" / "report.html").read_text()
    assert "Self-supervised front-ends" in page


def test_a_second_run_has_nothing_to_do(tuned_and_frozen):
    assert planned(tuned_and_frozen) == {}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("recipes.ours.ssl_lr", 1e-5, {"train": 2, "score_mono": 2}),
        ("frontends.frozen.layers", 1, {"extract_hidden": 2, "train": 2, "score_mono": 2}),
        ("frontends.tuned", {"checkpoint": TINY, "layers": 1}, {"train": 2, "score_mono": 2}),
        ("train.epochs", 2, {"train": 4, "score_mono": 4}),
        ("ssl", {"batch_seconds": 8}, {}),  # of memory, not of results
        ("systems", ["frozen-ecapa-tdnn", "lfcc-resnet18"], {"train": 2, "score_mono": 2}),
    ],
)
def test_what_changes_is_made_again_and_no_more(tuned_and_frozen, path, value, expected):
    config = copy.deepcopy(tuned_and_frozen.config)
    place = config
    *above, last = path.split(".")
    for key in above:
        place = place[key]
    place[last] = value
    jobs = planned(tuned_and_frozen, config)
    asked = ("train", "score_mono", "extract_hidden", "extract", "decode", "fetch_checkpoint", "make_checkpoint")
    assert {name: jobs[name] for name in asked if name in jobs} == expected


def files_of(run: Run, system: str) -> list[Path]:
    """Models of a system, and what comes of them."""
    models = run.folder / "results" / "tiny" / "models" / system
    names = ("model.safetensors", "model.json", "scores/pl.tsv", "metrics.tsv")
    return [models / train / "seed1" / name for train in ("en", "pl") for name in names]


def test_whether_the_hub_is_in_reach_is_no_reason_to_train_again(tuned_and_frozen, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", "/elsewhere")
    assert planned(tuned_and_frozen) == {}


def test_looking_again_at_checkpoints_trains_nothing_again(tuned_and_frozen, tmp_path):
    run = tuned_and_frozen.copy(tmp_path / "run")
    done = run.snakemake("-R", "fetch_checkpoint", "--", "fetch_weights")
    assert done.returncode == 0, done.stdout[-3000:]
    assert planned(run) == {}


def test_a_folder_that_changes_is_noticed(tuned_and_frozen, tmp_path):
    run = tuned_and_frozen.copy(tmp_path / "run")
    make_checkpoint("wav2vec2", tmp_path / "mine", seed=1)
    config = copy.deepcopy(run.config) | {"systems": ["mine-resnet18"], "frontends": {"mine": str(tmp_path / "mine")}}
    target = "results/checkpoints/mine.json"
    assert run.snakemake("--", target, config=config).returncode == 0
    before = (run.folder / target).read_bytes()
    assert "Nothing to be done" in run.snakemake("--", target, config=config).stdout
    make_checkpoint("wav2vec2", tmp_path / "mine", seed=2)
    assert run.snakemake("--", target, config=config).returncode == 0
    assert (run.folder / target).read_bytes() != before


def test_what_is_deleted_comes_back_the_same(tuned_and_frozen, tmp_path):
    run = tuned_and_frozen.copy(tmp_path / "run")
    results = run.folder / "results"
    files = [results / "tiny" / "features" / "frozen" / "en.npy", results / "checkpoints" / "frozen.json"]
    files += [results / "metrics.tsv", *files_of(run, "tuned-ecapa-tdnn"), *files_of(run, "frozen-resnet18")]
    before = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    done = run.snakemake("--show-failed-logs", "--", "results/metrics.tsv")
    assert done.returncode == 0, done.stdout[-5000:]
    assert [path.read_bytes() for path in files] == before


def test_matched_front_ends_and_the_benchmark_s_plan(tmp_path):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["systems"] = ["xlsr-53-matched-aasist", "wav2vec2-xls-r-300m-resnet18", "any-ecapa-tdnn"]
    config["frontends"] = {"any": "microsoft/wavlm-large"}
    config |= {"protocols": ["mono", "pooled"], "ssl": {"mode": "frozen"}}
    jobs = planned(Run(tmp_path, config), config)
    assert jobs["fetch_checkpoint"] == 6 + 1 + 1 + 1
    assert jobs["extract_hidden"] == 6 * jobs["fetch_checkpoint"]


def test_weights_come_from_the_hub_once_and_all_else_is_offline(tuned_and_frozen, tmp_path, monkeypatch):
    make_checkpoint("hubert", tmp_path / "hubert", seed=1)
    files = {path.name: path.read_bytes() for path in (tmp_path / "hubert").iterdir()}
    run = tuned_and_frozen.copy(tmp_path / "run")
    config = copy.deepcopy(run.config) | {"systems": ["theirs-ecapa-tdnn"], "frontends": {"theirs": "owner/name"}}
    with serve() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        hub.add("owner/name", files, COMMIT)
        done = run.snakemake("--", "fetch_weights", config=config)
        assert done.returncode == 0, done.stdout[-5000:]
        record = json.loads((run.folder / "results" / "checkpoints" / "theirs.json").read_text())
        assert (record["checkpoint"], record["revision"], record["architecture"]) == ("owner/name", COMMIT, "hubert")
        hub.requests.clear()
        done = run.snakemake("--show-failed-logs", "--", "results/metrics.tsv", config=config)
        assert done.returncode == 0, done.stdout[-5000:]
        assert hub.requests == []
    # With the hub gone, and the cache too: what to fetch and how.
    for path in (*files_of(run, "theirs-ecapa-tdnn"), run.folder / "results" / "metrics.tsv"):
        path.unlink()
    next((tmp_path / "home" / "hub").rglob("model.safetensors")).unlink()
    done = run.snakemake("--show-failed-logs", "--", "results/metrics.tsv", config=config)
    assert done.returncode != 0
    assert "model.safetensors: missing" in done.stdout
    assert "snakemake --cores all -R fetch_checkpoint -- fetch_weights" in done.stdout
    done = run.snakemake("--show-failed-logs", "-R", "fetch_checkpoint", "--", "fetch_weights", config=config)
    assert done.returncode != 0
    assert re.search(r"owner/name: cannot be fetched: .*By hand:.*hf download owner/name", done.stdout, re.DOTALL)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"systems": ["wav2vec2-xsl-r-300m-aasist"]}, "unknown front-end 'wav2vec2-xsl-r-300m'; known: lfcc"),
        ({"systems": ["xlsr-aasist"], "frontends": {"xlsr": {"checkpiont": "a/b"}}}, "did you mean 'checkpoint'"),
        ({"systems": ["x-aasist"], "frontends": {"x": {"mode": "frozen"}}}, "frontends.x.checkpoint: missing"),
        ({"systems": ["x-aasist"], "frontends": {"x": {"checkpoint": "a/b", "recipe": "their"}}}, "unknown recipe"),
        ({"systems": ["x-aasist"], "frontends": {"x": {"checkpoint": "a/b", "layers": "first"}}}, "layers: 'first'"),
        ({"systems": ["x-aasist"], "frontends": {"x": "/no/where"}}, "/no/where: no such folder"),
        ({"systems": ["a/b-aasist"]}, "others are named in frontends, as `b: a/b` or a folder"),
        (
            {"systems": ["x-aasist"], "frontends": {"x": {"checkpoint": "a/b", "mixed": "y"}}},
            "mixed: goes with matched",
        ),
        (
            {"systems": ["x-aasist"], "frontends": {"x": {"matched": {"en": "a"}, "mode": "frozen"}}},
            "frontends.x: mode is said of the front-ends that it stands for",
        ),
        ({"frontends": {"lfcc": "a/b"}}, "lfcc is a front-end already"),
        ({"recipes": {"ours": {"variants": ["clean"]}}}, "recipes.ours.variants: all systems train on the same"),
        ({"systems": ["m-aasist"], "frontends": {"m": {"matched": {"de": "a"}}}}, "frontends.m.matched: no front-end"),
        (
            {
                "systems": ["m-aasist"],
                "frontends": {"m": {"matched": {"en": "n", "pl": "n"}}, "n": {"matched": {"en": "a"}}},
            },
            "'n' stands for other front-ends itself",
        ),
        (
            {
                "systems": ["m-aasist"],
                "frontends": {"a": "b/c", "m": {"matched": {"en": "a", "pl": "a"}}},
                "protocols": ["pooled"],
            },
            "frontends.m.mixed: missing: all is of several languages",
        ),
    ],
)
def test_wrong_front_ends_are_refused_before_anything_runs(tmp_path, changed, message):
    done = Run(tmp_path, small_config() | changed).snakemake("--dry-run")
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout
