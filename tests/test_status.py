"""What is said of a run, from journals as Snakemake's main process writes them."""

import json
import math
import os
import platform

import pytest

from srctrace import causes, slurm
from srctrace.cli import main
from srctrace.config import complete
from srctrace.errors import UserError
from srctrace.journal import JOURNAL, Journal
from srctrace.status import failures, read_run, report
from tests.workflow.conftest import ROOT, small_config


@pytest.fixture
def write(tmp_path):
    """Writes a journal: a run, then the events given."""

    def write(*events, **run):
        config = complete(small_config(), ROOT / "workflow" / "schemas" / "config.schema.yaml")
        begin = {"event": "run", "time": 0, "host": platform.node(), "pid": os.getpid(), "executor": "slurm"}
        begin |= {"planned": {"train": 2}, "config": config} | run
        path = tmp_path / JOURNAL
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            for event in (begin, *events):
                file.write(json.dumps({"time": 1, **event}) + "\n")
        return tmp_path

    return write


def train(number, **more):
    wildcards = {"system": "lfcc-resnet18", "train": "en", "seed": "1"}
    resources = {"mem_mb": 8000, "runtime": 480}
    return {"event": "job", "job": number, "rule": "train", "wildcards": wildcards, "log": ["t.log"]} | {
        "resources": resources,
        **more,
    }


def test_states_follow_from_events(write):
    folder = write(train(1), train(2), {"event": "done", "job": 1})
    jobs = read_run(folder).jobs
    assert [jobs[1].state, jobs[2].state] == ["done", "running"]
    write(train(1), {"event": "failed", "job": 1, "why": "", "cause": "", "log": []}, train(1))
    jobs = read_run(folder).jobs  # of the latest run alone
    assert list(jobs) == [1]
    assert (jobs[1].state, jobs[1].attempt) == ("running", 2)


def test_members_of_a_group_share_its_slurm_job(write):
    group = {"event": "group", "jobs": {"a-b": 1, "c-d": 2}}
    folder = write(group, train(1), train(2), {"event": "slurm", "job": "c-d", "slurm": "77", "log": "s.log"})
    assert {job.slurm for job in read_run(folder).jobs.values()} == {"77"}


@pytest.mark.parametrize(
    ("why", "log", "expected"),
    [
        ("SLURM status is: 'OUT_OF_MEMORY'", "", causes.MEMORY),
        ("SLURM status is: 'FAILED'", "slurmstepd: error: Job 9 exceeded memory limit (9 > 8)", causes.MEMORY),
        ("SLURM status is: 'FAILED'", "slurmstepd: error: Detected 1 oom_kill event in StepId=9.0", causes.MEMORY),
        ("SLURM status is: 'TIMEOUT'", "", causes.TIME),
        ("SLURM status is: 'FAILED'", "error: *** JOB 9 ON n CANCELLED AT … DUE TO TIME LIMIT ***", causes.TIME),
        ("SLURM status is: 'FAILED'", "stopped by signal 15: the next run goes on from here", causes.TIME),
        ("SLURM status is: 'CANCELLED'", "stopped by signal 15: the next run goes on from here", causes.CANCELLED),
        ("SLURM status is: 'NODE_FAIL'", "", causes.NODE),
        ("SLURM sbatch failed. The error message was 'no such partition'", "", causes.REFUSED),
        ("SLURM sbatch failed.", "stopped by signal 15: the next run goes on from here", causes.REFUSED),
        ("", "slurmstepd: error: *** JOB 9 ON n CANCELLED AT 2026-11-26T17:47:21 ***", causes.CANCELLED),
        ("SLURM status is: 'FAILED'", "srctrace train: out of memory (of the machine): set batch_size", causes.MEMORY),
        ("SLURM status is: 'FAILED'", "torch.OutOfMemoryError: CUDA out of memory. Tried to", ""),
        ("SLURM status is: 'FAILED'", "out of GPU memory (CUDA out of memory. Tried to…): set batch_size", ""),
        ("SLURM status is: 'FAILED'", "srctrace train: en.npy: no such file", ""),
    ],
)
def test_the_cause_of_a_failure_is_found(tmp_path, why, log, expected):
    (tmp_path / "log").write_text(log)
    assert causes.cause(why, [tmp_path / "log", tmp_path / "none"]) == expected


@pytest.mark.parametrize(
    ("cause", "why", "words"),
    [
        (causes.MEMORY, "", "out of memory with mem_mb=8000: raise it, in slurm/config.yaml"),
        (causes.MEMORY, "", "--set-resources train:mem_mb=16000"),
        (causes.TIME, "", "out of time with runtime=480"),
        (causes.NODE, "", "its node failed"),
        (causes.CANCELLED, "", "cancelled"),
        (causes.REFUSED, "sbatch failed. The error message was 'x'.\n    sbatch call: …", "Slurm refuses it: 'x'."),
    ],
)
def test_a_failure_says_what_to_raise_and_where(write, cause, why, words):
    failed = {"event": "failed", "job": 1, "why": why, "cause": cause, "log": []}
    folder = write(train(1), failed, {"event": "end", "success": False})
    (folder / "t.log").write_text("first\nlast line\n")
    said = "\n".join(failures(folder))
    assert words in said
    assert "last line" in said


def test_without_a_batch_system_there_is_nothing_to_raise(write):
    failed = {"event": "failed", "job": 1, "why": "", "cause": causes.MEMORY, "log": []}
    assert failures(write(train(1), failed, executor="local"))[0] == "failed: train lfcc-resnet18 en seed1"


def test_a_failure_of_its_own_making_gets_no_advice(write):
    folder = write(train(1), {"event": "failed", "job": 1, "why": "SLURM status is: 'FAILED'", "cause": "", "log": []})
    (folder / "t.log").write_text("srctrace train: no such file")
    first, *rest = failures(folder)
    assert first == "failed: train lfcc-resnet18 en seed1"
    assert "no such file" in "".join(rest)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("1-02:00:00", 1560), ("30:00", 30), ("2:30:00", 150), ("infinite", math.inf), ("n/a", math.inf)],
)
def test_time_limits_are_read(text, minutes):
    assert slurm._minutes(text) == minutes


def test_a_journal_that_was_cut_off_or_damaged_is_read(write, monkeypatch):
    folder = write(train(1))
    with (folder / JOURNAL).open("ab") as file:
        file.write(b'5\n{"a": 1}\n\xff\n{"event": "do')
    assert read_run(folder).jobs[1].state == "running"
    monkeypatch.chdir(folder)
    config = json.loads((folder / JOURNAL).read_bytes().splitlines()[0])["config"]
    Journal("local", {"scan": 1}, config).end(success=True)
    run = read_run(folder)
    assert (run.executor, run.planned, run.success) == ("local", {"scan": 1}, True)


def test_whether_the_process_is_there(write):
    assert "at work" in report(write())[0]
    assert "process is gone" in report(write(pid=2**22 + 1))[0]
    assert "not known" in report(write(host="elsewhere"))[0]
    assert "ended with failures" in report(write({"event": "end", "success": False}))[0]


def test_cells_are_counted_by_their_files(write):
    folder = write(train(1), {"event": "done", "job": 1})
    scores = folder / "results" / "tiny" / "models" / "lfcc-resnet18" / "en" / "seed1" / "scores"
    scores.mkdir(parents=True)
    (scores / "en.tsv").touch()
    lines = report(folder)
    assert any("1 of 4 cells" in line for line in lines)
    (scores / "pl.tsv").touch()
    assert any(line.split() == ["lfcc-resnet18", "seed", "1", "+", "."] for line in report(folder))


def test_a_folder_without_a_run_is_said(tmp_path, capsys):
    with pytest.raises(UserError, match="no run was started"):
        read_run(tmp_path)
    assert main(["status", str(tmp_path)]) == 2
    assert "no run was started" in capsys.readouterr().err


def test_other_code_than_the_workflow_s_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SRCTRACE_CODE", "0123456789ab")
    assert main(["status", str(tmp_path)]) == 2
    assert "make containers" in capsys.readouterr().err
