"""A real Slurm cluster to throw away: two nodes on this machine, with everything it writes in one folder."""

import contextlib
import itertools
import os
import re
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sacct", "sacctmgr", "salloc", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun", "sshare", "sstat")
NODES = ("node1", "node2")
GPUS_OF_A_NODE = 2
CLIENT_SECONDS = 20  # a client whose controller does not answer would hang for minutes
SYSTEM_FOLDERS = os.pathsep.join(("/usr/sbin", "/sbin"))  # of the daemons; not on everybody's PATH

# Short intervals, so that a test sees in seconds what a real cluster does in minutes. Nodes have more cores than the
# machine may have. The life of a credential is also how long a job that is put back into the queue has to wait.
SETTINGS = {
    "AuthType": "auth/munge",
    "AuthInfo": "socket={folder}/munge/socket,cred_expire=5",
    "CredType": "cred/munge",
    "ClusterName": "throwaway",
    "SlurmctldHost": "{host}(127.0.0.1)",
    "SlurmctldPort": "{ports[0]}",
    "SlurmUser": "root",
    "SlurmdUser": "root",
    "StateSaveLocation": "{folder}/controller/state",
    "SlurmctldPidFile": "{folder}/controller/pid",
    "SlurmctldLogFile": "{folder}/controller/log",
    "SlurmdSpoolDir": "{folder}/%n/spool",
    "SlurmdPidFile": "{folder}/%n/pid",
    "SlurmdLogFile": "{folder}/%n/log",  # the daemon and its job steps also make this folder their working directory
    "SlurmdParameters": "config_overrides",
    "SlurmdTimeout": "10",
    "MessageTimeout": "5",  # the end of a node is seen after about twice that and SlurmdTimeout
    "ReturnToService": "2",  # a node that was lost is used again as soon as it is back
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "MpiDefault": "none",
    "SwitchType": "switch/none",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_Core_Memory",
    "SchedulerParameters": "sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0",
    "JobRequeue": "1",
    "KillWait": "10",  # between TERM and KILL
    "MinJobAge": "3600",  # squeue knows of a job that long after its end; there is no accounting
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
    "JobAcctGatherType": "jobacct_gather/linux",
    "JobAcctGatherFrequency": "1",
    "JobAcctGatherParams": "OverMemoryKill",
    "AccountingStorageType": "accounting_storage/none",
    "GresTypes": "gpu",
}
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 Sockets=1 CoresPerSocket=8 "
    "ThreadsPerCore=1 RealMemory=12000 Gres=gpu:{gpus}"
)
# A job of `high` takes the place of one of `low`, which then has GraceTime seconds to end.
PARTITIONS = (
    "PartitionName=main Nodes=ALL MaxTime=60 DefaultTime=5 PreemptMode=OFF Default=YES",
    "PartitionName=gpu Nodes=ALL MaxTime=60 DefaultTime=5 PreemptMode=OFF",
    "PartitionName=low Nodes=ALL MaxTime=60 DefaultTime=5 PriorityTier=1 GraceTime=10",
    "PartitionName=high Nodes=ALL MaxTime=60 DefaultTime=5 PriorityTier=10",
)
SQUEUE = {
    "id": "%i",
    "name": "%j",
    "state": "%T",
    "reason": "%r",
    "partition": "%P",
    "node": "%N",
    "workdir": "%Z",
    "comment": "%k",
}


class SlurmError(RuntimeError):
    """The cluster does not do what it was asked."""


def why_not() -> str | None:
    """Why there can be no cluster on this machine, or None where there can."""
    if os.geteuid() != 0:
        return "a Slurm cluster to throw away needs root"
    if missing := [name for name in (*DAEMONS, "sbatch") if not _find(name)]:
        return f"{', '.join(missing)} not found: `apt-get install --no-install-recommends slurm-wlm munge`"
    return None


class SlurmCluster:
    """Starts in `with`, and is gone after it.

    Args:
        folder: An absolute path; not a long one, as a socket's is limited.
        settings: Of slurm.conf, in place of those in SETTINGS.
    """

    def __init__(self, folder: str | os.PathLike, **settings: object):
        self.folder = Path(folder).resolve()
        self.settings = SETTINGS | {name: str(value) for name, value in settings.items()}
        self.conf = self.folder / "slurm.conf"
        munge = self.folder / "munge"
        # Forced, as munged objects to a folder that only its owner can enter, such as pytest's.
        self._munged = Daemon(
            [_find("munged"), "--force", f"--socket={munge}/socket"]
            + [f"--{file}-file={munge}/{file}" for file in ("key", "pid", "log", "seed")],
            munge,
        )
        self._controller = Daemon([_find("slurmctld"), "-f", str(self.conf)], self.folder / "controller")
        self._nodes = {
            node: Daemon([_find("slurmd"), "-f", str(self.conf), "-N", node], self.folder / node) for node in NODES
        }

    def __enter__(self) -> "SlurmCluster":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self) -> None:
        """Return when both nodes wait for work."""
        try:
            self._write()
            self._munged.start()
            self._controller.start()
            self.start_slurmd()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the jobs and the daemons, and no other process; also what has started only in part."""
        with contextlib.suppress(SlurmError, TimeoutError, subprocess.TimeoutExpired):
            if self._controller.process() and (left := [job["id"] for job in self.jobs()]):
                self.cancel(*left)
                self.wait_until(lambda: not any(self._steps(node) for node in NODES), 3)
        for node in NODES:
            _kill(lambda node=node: self._steps(node))
        for daemon in (*self._nodes.values(), self._controller, self._munged):
            daemon.stop()
        for device in self.folder.glob("gpu/*"):
            device.unlink()

    def environment(self) -> dict[str, str]:
        """What clients need, beside their own environment, to talk to this cluster.

        Snakemake removes SLURM_CONF inside of jobs, so there are clients on PATH that set it again.
        """
        return {"SLURM_CONF": str(self.conf), "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def ask(self, *command: str) -> str:
        """What a Slurm client answers."""
        foreign = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "SINFO_")  # say, of a job in which the tests run
        own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        done = subprocess.run(
            command,
            env=own | self.environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLIENT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise SlurmError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    # Jobs

    def submit(self, script: str, *options: str) -> str:
        """Give sbatch the lines of a shell script; the job's id. Its output is `output(id)`."""
        jobs = self.folder / "jobs"
        given = [f"--output={jobs}/%j.out", f"--chdir={jobs}", "--mem=100", *options]
        return self.ask("sbatch", "--parsable", *given, "--wrap", script).strip()

    def output(self, number: str) -> str:
        """What a job given to `submit` has printed so far."""
        file = self.folder / "jobs" / f"{number}.out"
        return file.read_text() if file.exists() else ""

    def jobs(self, ended: bool = False) -> list[dict[str, str]]:
        """What squeue lists, under the names in SQUEUE; with `ended`, also the jobs that are no more."""
        chosen = ["--states=all"] if ended else []
        rows = self.ask("squeue", "--all", "--noheader", *chosen, "--format", "\t".join(SQUEUE.values()))
        return [dict(zip(SQUEUE, row.split("\t"), strict=True)) for row in rows.splitlines()]

    def job(self, number: str) -> dict[str, str]:
        """What `scontrol show job` says."""
        lines = self.ask("scontrol", "show", "job", number).splitlines()
        fields = itertools.chain.from_iterable(re.split(r" (?=[\w/:]+=)", line.strip()) for line in lines)
        return dict(field.split("=", 1) for field in fields if "=" in field)

    def state(self, number: str) -> str:
        """Of a job: PENDING, RUNNING, COMPLETED, …"""
        return self.job(number)["JobState"]

    def cancel(self, *numbers: str) -> None:
        """As a user does."""
        self.ask("scancel", *numbers)

    def requeue(self, number: str) -> None:
        """Put a running job back into the queue; it starts again from its first line."""
        self.ask("scontrol", "requeue", number)

    def end_time_in(self, seconds: float, number: str) -> None:
        """Let a running job's time be over soon: a limit cannot be less than a minute. Slurm looks every 30 s."""
        end = datetime.now() + timedelta(seconds=seconds)
        self.ask("scontrol", "update", f"JobId={number}", f"EndTime={end:%Y-%m-%dT%H:%M:%S}")

    def wait_until(self, holds: Callable[[], object], seconds: float = 60) -> object:
        """Ask until the answer is true, and return it.

        Raises:
            TimeoutError: It is not; says what is in the queue.
        """
        end = time.monotonic() + seconds
        while not (answer := holds()):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s; the jobs: {self._listing()}")
            time.sleep(0.2)
        return answer

    def wait_for(self, number: str, *states: str, seconds: float = 60) -> str:
        """Wait until a job is in one of these states, and return which."""
        return self.wait_until(lambda: (state := self.state(number)) in states and state, seconds)

    # What goes wrong with clusters

    def stop_slurmd(self, *nodes: str) -> None:
        """End the daemon of these nodes or of all. Jobs go on; after SlurmdTimeout seconds, the node is given up."""
        for node in nodes or NODES:
            self._nodes[node].stop()

    def start_slurmd(self, *nodes: str) -> None:
        """Start it, where it does not run; return when the nodes answer."""
        for node in nodes or NODES:
            self._nodes[node].start()
        self.wait_until(lambda: self._ready(nodes or NODES), 30)

    def stop_controller(self) -> None:
        """Jobs go on, clients get no answer."""
        self._controller.stop()

    def start_controller(self) -> None:
        """Start it with what it has saved; return when it answers."""
        self._controller.start()
        self.wait_until(lambda: self._ready([node for node in NODES if self._nodes[node].process()]), 30)

    def restart_controller(self) -> None:
        """As an update of Slurm does."""
        self.stop_controller()
        self.start_controller()

    def kill_node(self, node: str) -> None:
        """End the daemon of a node and all that runs there at once, as when it loses power."""
        daemon = self._nodes[node]
        _kill(lambda: [*filter(None, [daemon.process()]), *self._steps(node)])

    def node(self, node: str) -> str:
        """A node's state: `idle`, `mixed`, `down`, …; with `*` behind it where the node does not answer."""
        return self._states()[node]

    def _states(self) -> dict[str, str]:
        rows = self.ask("sinfo", "--noheader", "--Node", "--partition", "main", "--format", "%N %T").splitlines()
        return dict(row.split() for row in rows)

    def _ready(self, nodes: Iterable[str]) -> bool:
        """Whether the controller answers, and can start jobs on these nodes."""
        try:
            states = self._states()
        except SlurmError:
            return False
        return all(states[node] in {"idle", "mixed", "allocated", "completing"} for node in nodes)

    def _listing(self) -> str:
        try:
            return "\n".join(map(str, self.jobs(ended=True)))
        except (SlurmError, subprocess.TimeoutExpired) as error:
            return str(error)

    def _steps(self, node: str) -> list[psutil.Process]:
        """Slurm has a process of its own for each job step; they outlive the daemon."""
        return [
            process
            for process in psutil.process_iter(["name", "cwd"])
            if process.info["name"] == "slurmstepd" and process.info["cwd"] == str(self.folder / node)
        ]

    # Files

    def _write(self) -> None:
        if len(str(self.folder)) > 65:  # of 108, with what Slurm puts behind it
            raise SlurmError(f"{self.folder}: too long a path for a socket")
        for name in ("bin", "controller/state", "gpu", "jobs", "munge", *(f"{node}/spool" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge" / "key"
        key.touch(0o400)
        key.write_bytes(os.urandom(1024))
        self.conf.write_text(self._slurm_conf())
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # not used, but found out if not said
        self._write_gpus()
        self._write_clients()

    def _slurm_conf(self) -> str:
        host = socket.gethostname().split(".")[0]
        ports = _free_ports(1 + len(NODES))
        settings = [
            f"{name}={value.format(folder=self.folder, host=host, ports=ports)}"
            for name, value in self.settings.items()
        ]
        nodes = [
            NODE.format(name=node, host=host, port=port, gpus=GPUS_OF_A_NODE)
            for node, port in zip(NODES, ports[1:], strict=True)
        ]
        return "\n".join([*settings, *nodes, *PARTITIONS, ""])

    def _write_gpus(self) -> None:
        """Slurm counts devices only; these are further names of /dev/null."""
        for gpu in range(GPUS_OF_A_NODE):
            os.mknod(self.folder / "gpu" / f"gpu{gpu}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        gpus = f"NodeName={','.join(NODES)} Name=gpu File={self.folder}/gpu/gpu[0-{GPUS_OF_A_NODE - 1}]\n"
        (self.folder / "gres.conf").write_text(gpus)

    def _write_clients(self) -> None:
        for name in CLIENTS:
            if program := shutil.which(name):
                wrapper = self.folder / "bin" / name
                wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {program} "$@"\n')
                wrapper.chmod(0o755)


@dataclass(frozen=True)
class Daemon:
    """A process that goes into the background, known by the files `pid` and `log` in its folder."""

    command: list[str]
    folder: Path

    def process(self) -> psutil.Process | None:
        """The process of the pid file, if it is ours: the number may since be another's."""
        try:
            process = psutil.Process(int((self.folder / "pid").read_text()))
            return process if process.cmdline() == self.command else None
        except (OSError, ValueError, psutil.Error):
            return None

    def start(self) -> None:
        if self.process():
            return
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=30, check=False)
        until = time.monotonic() + 10
        while done.returncode == 0 and time.monotonic() < until:
            if self.process():
                return
            time.sleep(0.05)
        raise SlurmError(f"{self.command[0]} did not start: {done.stderr}{self._log()}")

    def stop(self) -> None:
        if process := self.process():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
                if not _gone([process], 10):
                    process.kill()
                    _gone([process], 10)

    def _log(self) -> str:
        file = self.folder / "log"
        return file.read_text()[-2000:] if file.exists() else ""


def _find(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path=SYSTEM_FOLDERS) or ""


def _free_ports(count: int) -> list[int]:
    """All are held until all are known, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def _kill(roots: Callable[[], Iterable[psutil.Process]]) -> None:
    """Kill these processes and all they have started: frozen first, so that none tells of another's end."""
    frozen = []
    while new := [process for process in _families(roots()) if process not in frozen]:
        for process in new:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        frozen += new
    for process in reversed(frozen):  # children before parents, whose end would wake them up
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _gone(frozen, 10)


def _families(roots: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Parents before children."""
    processes = []
    for root in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes += [root, *root.children(recursive=True)]
    return processes


def _gone(processes: Iterable[psutil.Process], seconds: float) -> bool:
    """Wait until they are; a zombie is, whose parent may take its time."""
    end = time.monotonic() + seconds
    while left := [process for process in processes if _runs(process)]:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return not left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
