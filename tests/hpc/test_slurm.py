"""The workflow on a real Slurm cluster, from a fresh clone and with the committed profile: it runs, and what goes wrong
on clusters costs time and no result."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from srctrace import causes
from tests.hpc.clone import EPOCHS, MODEL, Clone, fresh, run_here
from tests.hpc.conftest import require
from tests.hpc.slurm_cluster import SlurmCluster, why_not

pytestmark = [pytest.mark.hpc, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    require(why_not())
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def finished(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A run on the cluster from a fresh clone, to its end."""
    clone = fresh(tmp_path_factory.mktemp("site"), cluster)
    clone.run()
    return clone


@pytest.fixture(scope="module")
def expected(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The metrics of the same run without a cluster."""
    folder = tmp_path_factory.mktemp("here")
    run_here(folder, finished.folder / "small.yaml")
    return (folder / "results" / "metrics.tsv").read_bytes()


@pytest.fixture
def untrained(finished: Clone, tmp_path: Path) -> Clone:
    """A copy of the finished run in which the model of English is to be trained, and all measured, again."""
    shutil.copytree(finished.folder, tmp_path / "run", symlinks=True)
    shutil.rmtree(tmp_path / "run" / MODEL.rpartition("/")[0])
    (tmp_path / "run" / "results" / "metrics.tsv").unlink()
    return Clone(tmp_path / "run", finished.cluster)


def test_a_fresh_clone_runs_and_gives_what_one_machine_gives(finished: Clone, expected: bytes):
    assert finished.metrics == expected
    assert (finished.folder / "results" / "report.html").exists()


def test_scoring_is_grouped_and_gpu_jobs_go_where_the_site_wants_them(finished: Clone):
    jobs = [job for job in finished.cluster.jobs(ended=True) if job["workdir"] == str(finished.folder)]
    grouped = [job for job in jobs if "score" in job["comment"]]
    assert len(grouped) == 1
    trainings = [job for job in jobs if job["comment"].startswith("rule_train")]
    assert [job["partition"] for job in [*trainings, *grouped]] == ["gpu"] * 3
    assert {job["partition"] for job in jobs if job not in [*trainings, *grouped]} == {"main"}
    assert finished.cluster.job(trainings[0]["id"])["TresPerNode"] == "gres:gpu:1"


def test_a_second_run_has_nothing_to_do(finished: Clone):
    assert "Nothing to be done" in finished.run()


def test_a_cancelled_job_is_tried_again(untrained: Clone, expected: bytes):
    process = untrained.start(MODEL)
    untrained.cluster.cancel(untrained.training()["id"])
    said = untrained.finish(process)
    assert process.returncode == 0, said[-3000:]
    assert untrained.trained().attempt == 2
    assert untrained.causes() == [causes.CANCELLED]
    assert untrained.trained().resources["mem_mb"] == 8000  # it was not for want of memory
    assert "resuming in epoch" in untrained.log_of_training()
    assert untrained.measured() == expected


def test_a_preempted_job_goes_on(untrained: Clone, expected: bytes):
    process = untrained.start(MODEL)
    job = untrained.training()
    untrained.cluster.requeue(job["id"])
    said = untrained.finish(process)
    assert process.returncode == 0, said[-3000:]
    assert untrained.trained().attempt == 1  # Slurm's own doing: for Snakemake the job has only taken longer
    assert untrained.cluster.job(job["id"])["Restarts"] == "1"
    assert "resuming in epoch" in untrained.log_of_training()
    assert untrained.measured() == expected


def test_a_job_over_its_memory_gets_more(untrained: Clone, expected: bytes):
    untrained.run(MODEL, "--set-resources", "train:mem_mb=450*attempt*attempt")
    assert untrained.trained().attempt == 2
    assert untrained.causes() == [causes.MEMORY]
    assert untrained.measured() == expected


def test_what_to_raise_is_said_when_it_fails_again(untrained: Clone):
    process = untrained.start(MODEL, "--set-resources", "train:mem_mb=450", "--retries", "0")
    said = untrained.finish(process)
    assert process.returncode != 0
    assert "failed: train lfcc-resnet18 en seed1: out of memory with mem_mb=450" in said
    assert "--set-resources train:mem_mb=900" in said
    status = untrained.status()
    assert "ended with failures" in status
    assert "out of memory with mem_mb=450" in status


def test_a_job_over_its_time_goes_on_at_the_next_attempt(untrained: Clone, tmp_path: Path):
    untrained.configure(epochs=3 * EPOCHS)  # Slurm looks at the time twice in a minute only
    shutil.copytree(untrained.folder, tmp_path / "undisturbed", symlinks=True)
    process = untrained.start(MODEL)
    job = untrained.training()
    untrained.cluster.end_time_in(2, job["id"])
    run_here(tmp_path / "undisturbed", untrained.folder / "small.yaml")
    said = untrained.finish(process)
    assert process.returncode == 0, said[-3000:]
    assert untrained.trained().attempt == 2
    assert untrained.causes() == [causes.TIME]
    assert "resuming in epoch" in untrained.log_of_training()
    assert untrained.measured() == Clone(tmp_path / "undisturbed", untrained.cluster).metrics


def test_slurm_s_daemons_are_restarted_in_mid_run(untrained: Clone, expected: bytes):
    process = untrained.start(MODEL)
    job = untrained.training()
    untrained.cluster.stop_slurmd()
    untrained.cluster.stop_controller()
    time.sleep(15)  # Snakemake asks in vain, and more than once
    untrained.cluster.start_controller()
    untrained.cluster.start_slurmd()
    said = untrained.finish(process)
    assert process.returncode == 0, said[-3000:]
    assert untrained.cluster.state(job["id"]) == "COMPLETED"
    assert untrained.measured() == expected


def test_a_node_dies(untrained: Clone, expected: bytes):
    process = untrained.start(MODEL)
    job = untrained.training()
    untrained.cluster.kill_node(job["node"])
    said = untrained.finish(process)
    untrained.cluster.start_slurmd()
    assert process.returncode == 0, said[-3000:]
    assert untrained.measured() == expected


def test_snakemake_is_killed_and_run_again(untrained: Clone, expected: bytes):
    process = untrained.start(MODEL)
    job = untrained.training()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "its process is gone" in untrained.status()
    said = untrained.run(MODEL)
    assert re.search(rf"cancelled what an earlier run has left with Slurm: .*\b{job['id']}\b", said)
    assert "resuming in epoch" in untrained.log_of_training()
    assert untrained.measured() == expected
