"""Processes that want a GPU of a machine with several: each has one of its own, or waits."""

import os
import select
import signal
import subprocess
import sys
import time

import pytest

from srctrace.placement import _gpus, _visible

GPUS = ["GPU-8f2a0000-aaaa", "GPU-8f2b1111-bbbb", "GPU-01c92222-cccc"]
MIG = ["MIG-77770000-dddd", "MIG-77771111-eeee"]

HOLD = """
import os, signal, subprocess, sys
from pathlib import Path
from srctrace import placement

placement.LOCKS, placement.POLL_SECONDS = Path(sys.argv[1]), 0.02
placement.take_gpu()
placement.take_gpu()
assert "torch" not in sys.modules
child = 0
if sys.argv[2] == "fork" and not (child := os.fork()):
    signal.pause()
if sys.argv[2] == "spawn":
    child = subprocess.Popen(["sleep", "60"]).pid
print(os.environ.get("CUDA_VISIBLE_DEVICES"), child, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Puts an `nvidia-smi` on the PATH that lists GPUs as the real one does; returns what starts a process there."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    started = []

    def list_gpus(count: int, mig: int = 0, status: int = 0) -> None:
        lines = [f"GPU {number}: NVIDIA A100-SXM4-40GB (UUID: {uuid})" for number, uuid in enumerate(GPUS[:count])]
        lines[1:1] = [f"  MIG 3g.20gb     Device  {number}: (UUID: {uuid})" for number, uuid in enumerate(MIG[:mig])]
        script = tmp_path / "bin" / "nvidia-smi"
        script.write_text(
            "\n".join(["#!/bin/sh", 'test "$*" = -L || exit 2', "cat <<END", *lines, "END", f"exit {status}"])
        )
        script.chmod(0o755)

    def start(code: str = HOLD, children: str = "none", locks=tmp_path, **variables: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(locks), children],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | variables,
        )
        started.append(process)
        return process

    start.list_gpus = list_gpus
    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def gpu_of(process: subprocess.Popen) -> str:
    return process.stdout.readline().split(" ")[0]


def is_waiting(process: subprocess.Popen) -> bool:
    """Whether a process says that it waits, and does."""
    return "waiting for a GPU" in process.stderr.readline() and not select.select([process.stdout], [], [], 0.3)[0]


def test_each_process_has_its_own_gpu_and_one_too_many_waits(machine):
    machine.list_gpus(3)
    held = {gpu_of(process): process for process in [machine() for _ in GPUS]}
    assert sorted(held) == sorted(GPUS)
    for uuid, end in zip(GPUS, [signal.SIGKILL, signal.SIGTERM, None], strict=True):
        late = machine()
        assert is_waiting(late)
        held[uuid].send_signal(end) if end else held[uuid].stdin.close()
        assert gpu_of(late) == uuid
        assert not select.select([late.stderr], [], [], 0)[0], "it said more than once that it waits"


def test_two_waiting_processes_get_one_each(machine):
    machine.list_gpus(1)
    holder = machine()
    gpu_of(holder)
    late = [machine(), machine()]
    assert all(map(is_waiting, late))
    holder.kill()
    (first,), _, _ = select.select([process.stdout for process in late], [], [], 10)
    (other,) = [process for process in late if process.stdout is not first]
    assert first.readline().startswith(GPUS[0])
    assert not select.select([other.stdout], [], [], 0.3)[0]


@pytest.mark.parametrize("children", ["fork", "spawn"])
def test_children_do_not_keep_a_dead_processs_gpu(machine, children):
    machine.list_gpus(1)
    parent = machine(children=children)
    uuid, child = parent.stdout.readline().split()
    late = machine()
    assert is_waiting(late)
    os.kill(parent.pid, signal.SIGKILL)
    try:
        assert gpu_of(late) == uuid
        os.kill(int(child), 0)  # it lives
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_what_is_visible_to_the_process_is_what_it_chooses_from(machine):
    machine.list_gpus(3)
    assert gpu_of(machine(CUDA_VISIBLE_DEVICES="2,1")) == GPUS[2]
    assert gpu_of(machine(CUDA_VISIBLE_DEVICES="2,1")) == GPUS[1]
    assert is_waiting(machine(CUDA_VISIBLE_DEVICES="1"))
    assert gpu_of(machine(CUDA_VISIBLE_DEVICES="GPU-8f2a")) == GPUS[0]
    assert gpu_of(machine(CUDA_VISIBLE_DEVICES="-1")) == "-1"
    assert gpu_of(machine(CUDA_VISIBLE_DEVICES="")) == ""


def test_in_each_job_of_a_batch_system_its_own_gpu_is_number_0(machine):
    """What a node's jobs see of it, where control groups hide the others' devices."""
    machine.list_gpus(1)
    assert gpu_of(machine(CUDA_VISIBLE_DEVICES="0")) == GPUS[0]
    GPUS.reverse()
    try:
        machine.list_gpus(1)
    finally:
        GPUS.reverse()
    assert gpu_of(machine(CUDA_VISIBLE_DEVICES="0")) == GPUS[2]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, GPUS),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", GPUS[:1]),
        (" 2 , 0 ", [GPUS[2], GPUS[0]]),
        ("1,-1,0", GPUS[1:2]),
        ("1,7,0", GPUS[1:2]),
        ("0,0", GPUS[:1]),
        ("GPU-01,GPU-8f2a", [GPUS[2], GPUS[0]]),
        ("GPU-8f", []),  # of two
        (f"{GPUS[1]},0", [GPUS[1], GPUS[0]]),
        (",".join(MIG), MIG),
        ("MIG-GPU-8f2a0000-aaaa/1/0", ["MIG-GPU-8f2a0000-aaaa/1/0"]),
    ],
)
def test_forms_of_cuda_visible_devices(names, expected):
    assert _visible({uuid: [] for uuid in GPUS}, names) == expected
    assert _visible({}, names) == []


def test_a_gpu_that_is_divided_is_taken_by_its_parts(machine):
    machine.list_gpus(2, mig=2)
    assert _gpus() == {GPUS[0]: MIG, GPUS[1]: []}
    assert _visible(_gpus(), None) == [*MIG, GPUS[1]]
    assert [gpu_of(machine(CUDA_VISIBLE_DEVICES="0")) for _ in MIG] == MIG
    assert gpu_of(machine()) == GPUS[1]
    old = "MIG-GPU-8f2a0000-aaaa/1/0"
    assert gpu_of(machine(CUDA_VISIBLE_DEVICES=old)) == old
    assert is_waiting(machine(CUDA_VISIBLE_DEVICES=old))


@pytest.mark.parametrize("gpus", [{}, {"count": 2, "status": 9}, {"count": 0}])
def test_without_gpus_to_choose_from_nothing_changes(machine, tmp_path, gpus):
    if gpus:
        machine.list_gpus(**gpus)
    else:
        (tmp_path / "bin" / "nvidia-smi").symlink_to(tmp_path / "missing")
    done = machine(PATH=f"{tmp_path / 'bin'}")
    assert gpu_of(done) == "None"
    assert done.communicate()[1] == ""
    assert not list(tmp_path.glob("*.lock"))


def test_locks_that_cannot_be_had_are_told_once(machine, tmp_path):
    machine.list_gpus(2)
    process = machine(locks=tmp_path / "missing")
    assert gpu_of(process) == "None"
    (line,) = process.communicate()[1].splitlines()
    assert "GPUs are not locked" in line
    assert "missing" in line


def test_lock_files_are_for_every_user(machine, tmp_path):
    machine.list_gpus(1)
    mask = os.umask(0o077)
    try:
        gpu_of(machine())
    finally:
        os.umask(mask)
    (lock,) = tmp_path.glob("*.lock")
    assert lock.stat().st_mode & 0o777 == 0o666


PREPARE = """
import os, sys
from pathlib import Path
import torch
from srctrace import device, placement

placement.LOCKS = Path(sys.argv[1])
torch.backends.cuda.is_built = lambda: "cpu build" not in sys.argv[2]
asked = []  # what CUDA would be shown
torch.cuda.is_available = lambda: bool(asked.append(os.environ.get("CUDA_VISIBLE_DEVICES")))
for name in sys.argv[2].split()[-1].split(","):
    device.prepare(name, 1)
print(os.environ.get("CUDA_VISIBLE_DEVICES"), len(placement._held), *sorted(set(map(str, asked))))
"""


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("cpu", "None 0"),
        ("cpu build auto", "None 0 None"),
        ("auto,auto", f"{GPUS[0]} 1 {GPUS[0]}"),
    ],
)
def test_a_device_is_prepared_on_a_gpu_that_was_taken_before_cuda_starts(machine, names, expected):
    machine.list_gpus(2)
    out, err = machine(PREPARE, names).communicate()
    assert out.strip() == expected, err


def test_one_killed_while_it_waits_takes_nothing(machine):
    machine.list_gpus(1)
    holder, late = machine(), None
    gpu_of(holder)
    late = machine()
    assert is_waiting(late)
    late.terminate()
    assert late.wait(10) == -signal.SIGTERM
    holder.kill()
    holder.wait()
    began = time.monotonic()
    assert gpu_of(machine()) == GPUS[0]
    assert time.monotonic() - began < 30
