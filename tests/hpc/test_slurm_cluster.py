"""The Slurm cluster of the tests is a real one: it does what the tests of the workflow rely on."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.hpc.conftest import require
from tests.hpc.slurm_cluster import NODES, SlurmCluster, SlurmError, why_not

pytestmark = pytest.mark.hpc

COUNT_TO_SIX = "for i in $(seq 6); do echo $i; sleep 1; done"
SIX = "".join(f"{i}\n" for i in range(1, 7))
WHERE = "echo $SLURMD_NODENAME restart ${SLURM_RESTART_COUNT:-0}; sleep 5"


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    require(why_not())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


def started(cluster: SlurmCluster, script: str, *options: str) -> str:
    """A job whose script is at work: Slurm says RUNNING a little before that."""
    number = cluster.submit(f"echo; {script}", *options)
    cluster.wait_until(lambda: cluster.output(number))
    return number


def test_job_runs(cluster: SlurmCluster):
    number = cluster.submit("echo hello; srun echo from a step", "--comment", "a comment")
    assert cluster.wait_for(number, "COMPLETED", "FAILED") == "COMPLETED"
    assert cluster.output(number) == "hello\nfrom a step\n"
    listed = {job["id"]: job for job in cluster.jobs(ended=True)}[number]
    assert listed["comment"] == "a comment"
    assert listed["workdir"] == cluster.job(number)["WorkDir"] == str(cluster.folder / "jobs")


def test_step_starts_without_slurms_variables(cluster: SlurmCluster):
    """Snakemake removes them all from its jobs: the configuration is then found by the clients on PATH."""
    options = [f"--export=ALL,{name}={value}" for name, value in cluster.environment().items() if name == "PATH"]
    number = cluster.submit("job=$SLURM_JOB_ID; unset SLURM_CONF; squeue --noheader --jobs $job --format %i", *options)
    assert cluster.wait_for(number, "COMPLETED", "FAILED") == "COMPLETED"
    assert cluster.output(number).strip() == number


def test_each_gpu_has_one_job(cluster: SlurmCluster):
    options = ("--partition=gpu", "--gres=gpu:1", "--nodelist=node1")
    numbers = [cluster.submit("echo $CUDA_VISIBLE_DEVICES; sleep 2", *options) for _ in range(3)]
    for number in numbers:
        cluster.wait_for(number, "COMPLETED")
    first, second, third = (cluster.output(number).strip() for number in numbers)
    assert {first, second} == {"0", "1"}
    assert third in {"0", "1"}  # when one is free again


def test_over_memory_is_killed(cluster: SlurmCluster):
    hog = "python3 -c 'import time; hog = bytearray(300 << 20); time.sleep(60)'"
    number = cluster.submit(hog, "--mem=100")
    assert cluster.wait_for(number, "FAILED", "OUT_OF_MEMORY", "COMPLETED") != "COMPLETED"
    assert "exceeded memory limit" in cluster.output(number)


def test_over_time_is_ended(cluster: SlurmCluster):
    number = started(cluster, "sleep 200")
    cluster.end_time_in(1, number)
    assert cluster.wait_for(number, "TIMEOUT", "COMPLETED") == "TIMEOUT"


def test_cancelled(cluster: SlurmCluster):
    number = started(cluster, "sleep 200")
    cluster.cancel(number)
    assert cluster.wait_for(number, "CANCELLED") == "CANCELLED"


def test_job_outlives_the_nodes_daemons(cluster: SlurmCluster):
    number = started(cluster, COUNT_TO_SIX)
    cluster.stop_slurmd()
    time.sleep(1)
    cluster.start_slurmd()
    cluster.wait_for(number, "COMPLETED", "FAILED")
    assert cluster.output(number) == f"\n{SIX}"
    assert cluster.job(number)["Restarts"] == "0"


def test_job_outlives_the_controller(cluster: SlurmCluster):
    number = started(cluster, COUNT_TO_SIX)
    cluster.stop_controller()
    with pytest.raises((SlurmError, subprocess.TimeoutExpired)):
        cluster.jobs()
    cluster.start_controller()
    cluster.wait_for(number, "COMPLETED", "FAILED")
    assert cluster.output(number) == f"\n{SIX}"
    assert cluster.job(number)["Restarts"] == "0"


def test_requeued_job_starts_again(cluster: SlurmCluster):
    number = started(cluster, WHERE)
    cluster.requeue(number)
    cluster.wait_for(number, "COMPLETED")
    assert "restart 1" in cluster.output(number)


def test_job_of_a_lost_node_moves_to_the_other(cluster: SlurmCluster):
    number = started(cluster, f"srun sh -c '{WHERE}'")
    lost = cluster.job(number)["NodeList"]
    (other,) = set(NODES) - {lost}
    cluster.kill_node(lost)
    cluster.wait_until(lambda: cluster.job(number)["Restarts"] == "1")
    cluster.wait_for(number, "COMPLETED", "FAILED")
    assert cluster.output(number) == f"\n{other} restart 1\n"
    cluster.start_slurmd(lost)
    assert cluster.wait_for(cluster.submit("true", "--nodelist", lost), "COMPLETED") == "COMPLETED"


def test_job_that_matters_less_makes_room(cluster: SlurmCluster):
    whole_node = ("--cpus-per-task=8", "--nodelist=node1")
    low = started(cluster, f'{WHERE}; [ -n "$SLURM_RESTART_COUNT" ] || sleep 100', "--partition=low", *whole_node)
    high = cluster.submit("sleep 1", "--partition=high", *whole_node)
    cluster.wait_for(high, "COMPLETED")
    cluster.wait_for(low, "COMPLETED", "FAILED")
    assert "node1 restart 1" in cluster.output(low)


def test_nothing_is_left(tmp_path_factory: pytest.TempPathFactory):
    mounts = mounts_of("cgroup")
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        stubborn = started(cluster, "trap '' TERM; while :; do sleep 1; done")
        assert cluster.state(stubborn) == "RUNNING"
    assert not processes_of(cluster.folder)
    assert not devices_in(cluster.folder)
    assert mounts_of("cgroup") == mounts
    assert not mounts_of(str(cluster.folder))


def test_failed_start_leaves_nothing(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("slurm")  # tmp_path has the test's name in it: too long a path for a socket
    with pytest.raises(SlurmError, match="did not start"):
        SlurmCluster(folder, SelectType="select/nonsense").start()
    assert not processes_of(folder)
    assert not devices_in(folder)


def processes_of(folder: Path) -> list[psutil.Process]:
    """What runs there or was told of this folder, but for us."""
    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline", "status"]):
        said = [process.info["cwd"] or "", *(process.info["cmdline"] or [])]
        if process.info["pid"] != os.getpid() and any(str(folder) in word for word in said):
            found.append(process)
    return found


def devices_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_char_device()]


def mounts_of(word: str) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if word in line]
