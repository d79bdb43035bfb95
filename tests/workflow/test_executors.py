"""What Snakemake offers beside a plain run: other executors, its own report, unlocking, folders elsewhere."""

import shutil
import stat

import pytest

from srctrace.status import read_run, report
from tests.workflow.conftest import Run

pytestmark = pytest.mark.workflow

MODEL = "results/tiny/models/lfcc-resnet18/en/seed1"
SUBMIT = """#!/bin/sh
# A batch system of one line: the job runs in the background, and its number is printed.
cat "$1" >> "$0.txt"
sh "$1" > "$0.log" 2>&1 &
echo $!
"""


@pytest.fixture
def untrained(run: Run) -> Run:
    """A finished run in which one model is to be made again, as what follows from it is missing too."""
    shutil.rmtree(run.folder / MODEL)
    for table in ("metrics", "classes", "confusion"):
        (run.folder / "results" / f"{table}.tsv").unlink()
    return run


def test_another_batch_system_needs_no_change_in_the_rules(untrained, finished):
    submit = untrained.folder / "submit"
    submit.write_text(SUBMIT)
    submit.chmod(submit.stat().st_mode | stat.S_IXUSR)
    done = untrained.snakemake(
        "results/metrics.tsv",
        *("--executor", "cluster-generic", "--jobs", "2", "--cluster-generic-submit-cmd", str(submit)),
        *("--default-resources", "gpu_request=gpus", "gpu_partition=gpu", "slurm_partition=cpu"),
        *("--latency-wait", "20", "--group-components", "score=5"),
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert untrained.metrics == finished.metrics
    submitted = (untrained.folder / "submit.txt").read_text()
    assert submitted.count("--allowed-rules 'train'") + submitted.count("--allowed-rules train") == 1
    assert read_run(untrained.folder).executor == "cluster-generic"


def test_jobs_ask_for_what_is_known_of_them_and_more_at_each_attempt(untrained):
    def asked(attempt: str) -> str:
        arguments = (
            "--dry-run",
            "--attempt",
            attempt,
            "--default-resources",
            "gpu_request=gpu:a100:1",
            "gpu_partition=big",
        )
        done = untrained.snakemake(f"{MODEL}/model.json", *arguments)
        assert done.returncode == 0, done.stdout
        return next(line for line in done.stdout.splitlines() if "resources:" in line and "runtime=" in line)

    first, second = asked("1"), asked("2")
    assert "mem_mb=8000" in first
    assert "runtime=480" in first
    assert "mem_mb=16000" in second
    assert "runtime=960" in second
    assert "gres=gpu:a100:1" in first
    assert "slurm_partition=big" in first


def test_snakemake_s_own_report(finished, tmp_path):
    done = finished.snakemake("--report", str(tmp_path / "report.html"))
    assert done.returncode == 0, done.stdout[-3000:]
    page = (tmp_path / "report.html").read_text()
    assert "lfcc-resnet18-heatmap-clean.svg" in page


def test_a_lock_that_a_killed_run_has_left_is_taken_away(untrained, finished):
    locks = untrained.folder / ".snakemake" / "locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text(f"{MODEL}/model.json\n")
    refused = untrained.snakemake()
    assert refused.returncode != 0
    assert "--unlock" in refused.stdout
    assert untrained.snakemake("--unlock").returncode == 0
    done = untrained.snakemake("--rerun-incomplete")
    assert done.returncode == 0, done.stdout[-3000:]
    assert untrained.metrics == finished.metrics


def test_results_may_lie_on_another_disk(untrained, finished, tmp_path):
    shutil.move(untrained.folder / "results", tmp_path / "elsewhere")
    (untrained.folder / "results").symlink_to(tmp_path / "elsewhere")
    done = untrained.snakemake()
    assert done.returncode == 0, done.stdout[-3000:]
    assert untrained.metrics == finished.metrics


def test_a_run_that_has_ended_can_be_looked_at(finished):
    lines = report(finished.folder)
    assert "finished after" in lines[0]
    assert any("4 of 4 cells are scored" in line for line in lines)
    assert not any(line.startswith("failed") for line in lines)


def test_what_failed_is_said_at_the_end(untrained):
    (untrained.folder / "results" / "tiny" / "features" / "lfcc" / "en.tsv").write_text("nonsense")
    done = untrained.snakemake("--rerun-triggers", "mtime")
    assert done.returncode != 0
    assert "failed: train lfcc-resnet18 en seed1" in done.stdout
    assert "no column utterance" in done.stdout


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("images/{image}.sif", "images/preprocess.sif: no such image: `make containers IMAGES=preprocess`"),
        ("images/{nonsense}.sif", "knows {image} and {version}"),
    ],
)
def test_images_that_are_not_there_are_named(finished, pattern, words):
    done = finished.snakemake("--dry-run", "--use-singularity", config={**finished.config, "containers": pattern})
    assert done.returncode != 0
    assert words in done.stdout
