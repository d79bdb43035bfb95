"""The workflow as a user meets it: it runs, it reruns what it must, it survives, and it says what is wrong."""

import copy
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from srctrace import decision
from srctrace.tables import read_table, write_table
from tests.workflow.conftest import ROOT, Run, environment, small_config

pytestmark = pytest.mark.workflow


def planned(run: Run, config: dict | None = None) -> dict[str, int]:
    """Jobs that a dry run would do: rule to count."""
    done = run.snakemake("--dry-run", config=config)
    assert done.returncode == 0, done.stdout
    stats = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", done.stdout, re.DOTALL)
    if not stats:
        assert "Nothing to be done" in done.stdout
        return {}
    return {line.split()[0]: int(line.split()[1]) for line in stats[1].splitlines()}


def test_a_run_leaves_what_it_promises(finished):
    results = finished.folder / "results"
    for name in ("report.html", "metrics.tsv", "classes.tsv", "confusion.tsv", "summary.tsv"):
        assert (results / name).stat().st_size > 0
    rows = read_table(results / "metrics.tsv", ["train", "test", "variant", "macro_f1"])
    assert {(row["train"], row["test"]) for row in rows} == {(a, b) for a in ("en", "pl") for b in ("en", "pl")}
    assert {row["variant"] for row in rows} == {"all", "clean", "noise", "music", "babble", "reverb"}
    assert all(0 <= float(row["macro_f1"]) <= 1 for row in rows)


def test_a_second_run_has_nothing_to_do(finished):
    done = finished.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("train", "epochs", 3, {"train", "score_mono", "measure_mono", "collect", "summarise"}),
        ("backends", "resnet18", {"width": 5}, {"train", "score_mono", "measure_mono", "collect", "summarise"}),
        (
            "lfcc",
            "n_lfcc",
            40,
            {"extract", "train", "score_mono", "measure_mono", "audit_mono", "collect", "summarise"},
        ),
    ],
)
def test_changing_a_key_reruns_what_depends_on_it(finished, section, key, value, expected):
    config = copy.deepcopy(finished.config)
    config.setdefault(section, {})[key] = value
    jobs = set(planned(finished, config)) - {"all", "total", "record_config", "illustrate", "plot", "report"}
    assert jobs == expected


def test_a_larger_corpus_has_the_same_noise(finished):
    config = copy.deepcopy(finished.config)
    config["builtin"] = {**config.get("builtin", {}), "speakers": 5}
    jobs = set(planned(finished, config))
    assert {"speak", "decode", "extract", "train"} <= jobs
    assert not {"make_noise", "pack_noise"} & jobs


def test_a_further_protocol_trains_and_tests_only_what_is_new(finished):
    config = copy.deepcopy(finished.config)
    config["protocols"] = ["mono", "pooled"]
    jobs = planned(finished, config)
    assert {rule for rule in jobs if rule.startswith(("train", "score", "measure", "list", "split", "audit"))} == {
        *("list_all", "train", "score_all", "measure_all", "audit_pooled"),
    }
    assert jobs["train"] == 1


def test_another_seed_trains_only_that(finished):
    config = copy.deepcopy(finished.config) | {"seeds": [1, 2]}
    assert planned(finished, config)["train"] == 2


def test_a_config_file_stands_alone(tmp_path):
    """What it leaves out has the documented default, not what the default run happens to have."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--cores", "1", "--configfile", str(ROOT / "config" / "mcl-mlaad.yaml"), "--", "results/config.json"]
    subprocess.run(command, check=True, env=environment(), stderr=subprocess.DEVNULL)
    config = json.loads((tmp_path / "results" / "config.json").read_text())
    assert config["backends"]["resnet18"] == {"width": 64}
    assert config["train"]["mixup"] == 0.5


def test_keys_can_be_set_on_the_command_line(finished):
    done = finished.snakemake("--dry-run", "--config", "seeds=[1,2]", "train={epochs: 3, variants: [clean]}")
    assert re.search(r"^train +4$", done.stdout, re.MULTILINE), done.stdout[-3000:]


def test_a_folder_is_a_corpus_too(finished, tmp_path):
    """Its speech is laid out as LANGUAGE/SOURCE/*.wav; noise and impulse responses as MUSAN and RIRS_NOISES are."""
    spoken = finished.folder / "data"
    config = copy.deepcopy(finished.config)
    config["corpus"] |= {"name": "mine", "type": "folder", "path": str(spoken / "tiny" / "speech")}
    config["noise"] = {"musan": str(spoken / "builtin" / "musan"), "rirs": str(spoken / "builtin" / "rirs")}
    config["split"] = {"unseen_speakers": 0}
    config["train"] |= {"epochs": 1}
    run = Run(tmp_path, config)
    done = run.snakemake("--show-failed-logs")
    assert done.returncode == 0, done.stdout[-5000:]
    splits = read_table(tmp_path / "results" / "mine" / "split.tsv", ["speaker", "seen_speaker"])
    assert {(row["speaker"], row["seen_speaker"]) for row in splits} == {("", "")}
    page = (tmp_path / "results" / "report.html").read_text()
    assert "espeak-ng" not in page  # what is said of the built-in corpus is not said of others


def test_a_table_is_a_corpus_too_and_paths_may_have_spaces(finished, tmp_path):
    """Speakers and texts come from the table; the speech and the noise lie in a folder with a space in its name."""
    home = tmp_path / "my data"
    shutil.copytree(finished.folder / "data", home)
    config = copy.deepcopy(finished.config)
    config["corpus"] |= {"name": "mine", "type": "table", "path": str(home / "tiny"), "table": str(home / "all.tsv")}
    config["noise"] = {"musan": str(home / "builtin" / "musan"), "rirs": str(home / "builtin" / "rirs")}
    rows = [row for name in ("en", "pl") for row in read_table(home / "tiny" / f"{name}.tsv", ["path"])]
    write_table(home / "all.tsv", ["path", "language", "source", "speaker", "text", "sentence"], rows)
    run = Run(tmp_path, config)
    done = run.snakemake("--show-failed-logs", "--", "results/mine/features/lfcc/en.npy")
    assert done.returncode == 0, done.stdout[-5000:]
    splits = read_table(tmp_path / "results" / "mine" / "split.tsv", ["seen_speaker"])
    assert {row["seen_speaker"] for row in splits} == {"yes", "no"}


def test_clusters_can_be_speakers(finished, tmp_path):
    """Their ids hold in one language only, so that nobody of the language left out was in training."""
    config = copy.deepcopy(finished.config)
    config["protocols"] = ["unseen-speaker"]
    config["speakers"] = {"from": "clusters", "clusters": 4, "starts": 2}
    run = Run(tmp_path, config)
    shutil.copytree(finished.folder / "data", tmp_path / "data")
    done = run.snakemake("--show-failed-logs")
    assert done.returncode == 0, done.stdout[-5000:]
    results = tmp_path / "results"
    speakers = {row["speaker"] for row in read_table(results / "tiny" / "manifest.tsv", ["speaker"])}
    assert speakers == {f"{language}-p{number:02d}" for language in ("en", "pl") for number in range(1, 5)}
    assert len(read_table(results / "tiny" / "scanned.tsv", ["speaker"])) > 0
    quality = read_table(results / "tiny" / "speakers" / "quality.tsv", ["language", "purity", "adjusted_rand"])
    assert {row["language"] for row in quality} == {"en", "pl"}
    assert all(float(row["adjusted_rand"]) > 0.1 for row in quality)
    cells = {(row["train"], row["test"]) for row in read_table(results / "metrics.tsv", ["train", "test"])}
    assert cells == {
        *(("without-en", test) for test in ("without-en-seen-speakers", "without-en-unseen-speakers", "en")),
        *(("without-pl", test) for test in ("without-pl-seen-speakers", "without-pl-unseen-speakers", "pl")),
    }
    assert "clusters of speaker embeddings, not persons" in (results / "report.html").read_text()


def test_unknown_sources_and_real_speech(finished, tmp_path):
    """One source is kept out of training; some of another stands for real speech, in one language only."""
    config = copy.deepcopy(finished.config)
    speech = finished.folder / "data" / "tiny" / "speech"
    shutil.copytree(speech / "pl" / "formant", tmp_path / "real" / "pl_PL" / "a book")
    config["corpus"] |= {"name": "mine", "type": "folder", "path": str(speech), "sources": ["klatt1", "klatt2"]}
    config["corpus"] |= {"out_of_set": ["klatt5"], "bona_fide": str(tmp_path / "real")}
    noise = finished.folder / "data" / "builtin"
    config |= {"protocols": ["mono", "out-of-set"], "systems": ["lfcc-resnet18+aam"], "variants": ["clean", "noise"]}
    config |= {"noise": {"musan": str(noise / "musan"), "rirs": str(noise / "rirs")}, "split": {"unseen_speakers": 0}}
    run = Run(tmp_path, config)
    done = run.snakemake("--show-failed-logs")
    assert done.returncode == 0, done.stdout[-5000:]
    results = tmp_path / "results"
    rows = read_table(results / "openset.tsv", ["train", "test", "method", "unknown", "n_unknown", "auroc"])
    assert {(row["test"], row["unknown"]) for row in rows} == {
        *(("en", "klatt5"), ("en", "all"), ("pl", "klatt5"), ("pl", "all"), ("pl", "bona-fide")),
    }
    real = len(list((tmp_path / "real" / "pl_PL" / "a book").glob("*.wav")))
    assert {int(row["n_unknown"]) for row in rows if row["unknown"] == "bona-fide"} == {real}
    assert {row["unknown"] for row in read_table(results / "fewshot.tsv", ["unknown"])} == {"klatt5"}
    facts = {
        train: decision.load(results / "mine" / "models" / "lfcc-resnet18+aam" / train / "seed1").facts
        for train in ("en", "pl")
    }
    assert (facts["en"]["bona_fide"], facts["pl"]["bona_fide"]) == (False, True)
    assert planned(run) == {}
    changed = copy.deepcopy(config) | {"recipes": {"aam": {"loss": "aam", "margin": 0.1}}}
    assert planned(run, changed)["train"] == 2


def test_a_language_pair_is_a_target(finished):
    target = "results/tiny/models/lfcc-resnet18/en/seed1/scores/pl.tsv"
    done = finished.snakemake("--dry-run", "--forcerun", "score_mono", "--", target)
    assert done.returncode == 0
    assert re.search(r"score_mono +1\b", done.stdout)
    assert "total" in done.stdout


def intermediate_files(run: Run) -> list[str]:
    """One of each kind of file that stands between the corpus and the metrics."""
    model = "results/tiny/models/lfcc-resnet18/en/seed1"
    return [
        "data/tiny/en.tsv",
        "results/tiny/manifest.tsv",
        "results/tiny/sources.tsv",
        "results/tiny/split.tsv",
        "results/tiny/waves/en.npy",
        "results/tiny/features/lfcc/pl.npy",
        "results/tiny/splits/en.tsv",
        "results/noise/bank.npy",
        f"{model}/model.safetensors",
        f"{model}/model.json",
        f"{model}/scores/pl.tsv",
        f"{model}/embeddings.npy",
        f"{model}/metrics.tsv",
        f"{model}/decision.safetensors",
        "results/projection.json",
    ]


def test_any_deleted_file_comes_back_the_same(run):
    """All at once, and the targets too, so that every one of them must be made again."""
    files = intermediate_files(run)
    before = {name: (run.folder / name).read_bytes() for name in files}
    metrics = run.metrics
    for name in files:
        (run.folder / name).unlink()
    (run.folder / "results" / "metrics.tsv").unlink()
    done = run.snakemake()
    assert done.returncode == 0, done.stdout[-5000:]
    assert run.metrics == metrics
    assert {name: (run.folder / name).read_bytes() for name in files} == before


def test_killed_at_a_bad_moment_it_ends_with_the_same_metrics(finished, tmp_path):
    run = Run(tmp_path, small_config())
    arguments = ["--nolock", "--rerun-incomplete"]
    process = subprocess.Popen(
        run.command(*arguments),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    trained = run.folder / "results" / "logs" / "train"
    deadline = time.monotonic() + 200
    while not trained.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(3)
    subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
    assert process.wait(timeout=20) == -signal.SIGKILL
    done = run.snakemake(*arguments)
    assert done.returncode == 0, done.stdout[-5000:]
    assert run.metrics == finished.metrics


def test_two_runs_in_one_folder_are_refused(run):
    (run.folder / "results" / "metrics.tsv").unlink()
    arguments = ("--nolock", "--forcerun", "train")
    first = subprocess.Popen(
        run.command(*arguments), env=environment(), stdout=subprocess.PIPE, text=True, stderr=subprocess.STDOUT
    )
    for line in first.stdout:
        if "rule train" in line:
            break
    second = run.snakemake(*arguments)
    first.communicate(timeout=200)
    assert second.returncode != 0
    assert "another run is at work" in second.stdout
    assert first.returncode == 0


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ("results/tiny/features/lfcc/en.npy", "record "),
        ("results/tiny/models/lfcc-resnet18/en/seed1/model.safetensors", "damaged"),
    ],
)
def test_a_damaged_file_is_named(run, damaged, message):
    path = run.folder / damaged
    content = bytearray(path.read_bytes())
    for position in range(len(content) // 2, len(content), 997):
        content[position] ^= 0xFF
    path.write_bytes(content)
    done = run.snakemake("--show-failed-logs", "--forcerun", "score_mono")
    assert done.returncode != 0
    assert f"{damaged}: {message}" in done.stdout
    assert path.exists()


def test_a_missing_noise_folder_is_told_how_to_fetch_it(tmp_path):
    config = small_config()
    config["noise"] = {"musan": "data/my musan", "rirs": "data/RIRS_NOISES"}
    done = Run(tmp_path, config).snakemake("--dry-run")
    assert done.returncode != 0
    assert "noise.musan: data/my musan: no such folder" in done.stdout
    assert "srctrace download musan --to 'data/my musan'" in done.stdout


def test_a_wrong_config_is_refused_before_anything_runs(finished):
    config = copy.deepcopy(finished.config)
    config["train"]["epoch"] = 3
    done = finished.snakemake(config=config)
    assert done.returncode != 0
    assert "train.epoch: unknown key: did you mean 'epochs'?" in done.stdout
    assert "Traceback" not in done.stdout
