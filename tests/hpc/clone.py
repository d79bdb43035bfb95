"""A clone of the repository on a cluster, in which the workflow is run as a user runs it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from srctrace.journal import JOURNAL
from srctrace.status import Job, read_run
from tests.hpc.conftest import copy_tree
from tests.hpc.slurm_cluster import SlurmCluster
from tests.workflow.conftest import ROOT, environment

# The site of the tests: no accounting, GPUs by gres, and partitions for jobs with and without.
SITE = {
    "gpu_request: gpus": "gpu_request: gpu:1",
    "# slurm_partition: cpu": "slurm_partition: main",
    "# gpu_partition: gpu": "gpu_partition: gpu",
    "# slurm-status-command: squeue": "slurm-status-command: squeue",
    "slurm-init-seconds-before-status-checks: 20": "slurm-init-seconds-before-status-checks: 2",
    "latency-wait: 120": "latency-wait: 20",
}
# Snakemake, but for how it waits between two looks at its jobs: a second, in place of up to three minutes.
IMPATIENT = """
import asyncio
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
RemoteExecutor.sleep = lambda self: asyncio.sleep(1)
main()
"""
EPOCHS = 60  # some twenty seconds of training: time to break something
MODEL = "results/tiny/models/lfcc-resnet18/en/seed1/model.json"


@dataclass(frozen=True)
class Clone:
    """A clone of the repository in which the workflow is run on a cluster."""

    folder: Path
    cluster: SlurmCluster

    def start(self, *arguments: str) -> subprocess.Popen:
        """Snakemake, as a user starts it, in a session of its own; its output goes to `run.log`."""
        command = [sys.executable, "-c", IMPATIENT, *arguments, "--profile", "slurm", "--configfile", "small.yaml"]
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
            process.wait(600)
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
        """Why jobs failed in the latest run."""
        lines = (self.folder / JOURNAL).read_text().splitlines()
        entries = [json.loads(line) for line in lines if line]
        began = max(number for number, entry in enumerate(entries) if entry["event"] == "run")
        return [entry["cause"] for entry in entries[began:] if entry["event"] == "failed"]

    def status(self) -> str:
        command = ["srctrace", "status"]
        done = subprocess.run(command, cwd=self.folder, env=environment(), capture_output=True, text=True, check=True)
        return done.stdout

    @property
    def metrics(self) -> bytes:
        return (self.folder / "results" / "metrics.tsv").read_bytes()

    def log_of_training(self) -> str:
        return (self.folder / "results" / "logs" / "train" / "lfcc-resnet18" / "en-seed1.log").read_text()


def fresh(folder: Path, cluster: SlurmCluster) -> Clone:
    """A clone whose profile has been told of the site, and that has a config of its own."""
    copy_tree(folder)
    profile = folder / "slurm" / "config.yaml"
    text = profile.read_text()
    for before, after in SITE.items():
        assert before in text
        text = text.replace(before, after, 1)
    profile.write_text(text)
    clone = Clone(folder, cluster)
    clone.configure(epochs=EPOCHS)
    return clone


def run_here(folder: Path, config: Path) -> None:
    """The same run without a cluster, as far as the metrics."""
    command = [sys.executable, "-m", "snakemake", "results/metrics.tsv", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder)]
    command += ["--cores", "2", "--nolock", "--quiet", "all", "--configfile", str(config)]
    subprocess.run(command, env=environment(), check=True)
