"""The workflow on a real Slurm cluster, from a fresh clone and with the committed profile: it runs, and what goes wrong
on clusters costs time and no result."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from srctrace import causes
from srctrace.journal import JOURNAL
from srctrace.status import Job, read_run
from tests.hpc.slurm_cluster import SlurmCluster, why_not
from tests.workflow.conftest import ROOT, environment

pytestmark = [
    pytest.mark.hpc,
    pytest.mark.timeout(600),
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]

# The site of the tests: no accounting, GPUs by gres and in a partition of their own; and looks at jobs often.
SITE = {
    "gpu_request: gpus": "gpu_request: gpu:1",
    "# gpu_partition: gpu": "gpu_partition: gpu",
    "# slurm-status-command: squeue": "slurm-status-command: squeue",
    "slurm-init-seconds-before-status-checks: 20": "slurm-init-seconds-before-status-checks: 6",
    "latency-wait: 120": "latency-wait: 20",
}
EPOCHS = 60  # some twenty seconds of training: time to break something
MODEL = "results/tiny/models/lfcc-resnet18/en/seed1/model.json"


@dataclass(frozen=True)
class Clone:
    """A clone of the repository in which the workflow is run on a cluster."""

    folder: Path
    cluster: SlurmCluster

    def start(self, *arguments: str) -> subprocess.Popen:
        """Snakemake, as a user starts it, in a session of its own; its output goes to `run.log`."""
        command = ["snakemake", *arguments, "--profile", "slurm", "--configfile", "small.yaml"]
        own = environment()
        path = self.cluster.environment()["PATH"].split(os.pathsep)[0] + os.pathsep + own["PATH"]
        with (self.folder / "run.log").open("w") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=own | self.cluster.environment() | {"PATH": path},
                start_new_session=True,
            )

    def finish(self, process: subprocess.Popen) -> str:
        """Wait for its end, and return what it said."""
        try:
            process.wait(300)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return (self.folder / "run.log").read_text()

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        said = self.finish(process)
        assert process.returncode == 0, said[-5000:]
        return said

    def measured(self) -> bytes:
        """The metrics table, after what is left to do was done on this machine."""
        run_here(self.folder, self.folder / "small.yaml")
        return self.metrics

    def configure(self, **train) -> None:
        """Two languages and one small system, trained for long enough to be broken."""
        config = yaml.safe_load((ROOT / "config" / "tiny.yaml").read_text())
        config["systems"] = ["lfcc-resnet18"]
        config["train"] |= train
        (self.folder / "small.yaml").write_text(yaml.safe_dump(config))

    def training(self) -> dict[str, str]:
        """The Slurm job of the training, once it has begun its second epoch."""

        def at_work():
            ours = (job for job in self.cluster.jobs() if job["workdir"] == str(self.folder))
            running = [job for job in ours if job["state"] == "RUNNING" and job["comment"].startswith("rule_train")]
            return running[0] if running and list((self.folder / MODEL).parent.glob("last-*.ckpt")) else None

        return self.cluster.wait_until(at_work, 120)

    def trained(self) -> Job:
        """The job of the training, in the latest run."""
        return next(job for job in read_run(self.folder).jobs.values() if job.rule == "train")

    def causes(self) -> list[str]:
        """Why jobs failed, in all runs."""
        entries = map(json.loads, (self.folder / JOURNAL).read_text().splitlines())
        return [entry["cause"] for entry in entries if entry["event"] == "failed"]

    def status(self) -> str:
        command = ["srctrace", "status"]
        done = subprocess.run(command, cwd=self.folder, env=environment(), capture_output=True, text=True, check=True)
        return done.stdout

    @property
    def metrics(self) -> bytes:
        return (self.folder / "results" / "metrics.tsv").read_bytes()

    def log_of_training(self) -> str:
        return (self.folder / "results" / "logs" / "train" / "lfcc-resnet18" / "en-seed1.log").read_text()


def copy_of_repository(folder: Path) -> Path:
    """What a clone would have, changes that are not committed included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.exists() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return folder


def run_here(folder: Path, config: Path) -> None:
    """The same run without a cluster, as far as the metrics."""
    command = [sys.executable, "-m", "snakemake", "results/metrics.tsv", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder)]
    command += ["--cores", "2", "--nolock", "--quiet", "all", "--configfile", str(config)]
    subprocess.run(command, env=environment(), check=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def finished(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A run on the cluster from a fresh clone, to its end."""
    clone = Clone(copy_of_repository(tmp_path_factory.mktemp("site")), cluster)
    profile = clone.folder / "slurm" / "config.yaml"
    text = profile.read_text()
    for before, after in SITE.items():
        assert before in text
        text = text.replace(before, after, 1)
    profile.write_text(text)
    clone.configure(epochs=EPOCHS)
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
    """A copy of the finished run in which the model of English is to be trained again."""
    shutil.copytree(finished.folder, tmp_path / "run", symlinks=True)
    shutil.rmtree(tmp_path / "run" / MODEL.rpartition("/")[0])
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


def test_a_job_over_its_time_goes_on_at_the_next_attempt(untrained: Clone, expected: bytes):
    process = untrained.start(MODEL)
    job = untrained.training()
    untrained.cluster.end_time_in(2, job["id"])
    said = untrained.finish(process)
    assert process.returncode == 0, said[-3000:]
    assert untrained.trained().attempt == 2
    assert untrained.causes() == [causes.TIME]
    assert "resuming in epoch" in untrained.log_of_training()
    assert untrained.measured() == expected


def test_slurm_s_daemons_are_restarted_in_mid_run(untrained: Clone, expected: bytes):
    process = untrained.start(MODEL)
    job = untrained.training()
    untrained.cluster.stop_slurmd()
    untrained.cluster.restart_controller()
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
