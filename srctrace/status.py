"""What becomes of a run: read from its journal and its files, while it goes on or after it.

Standard library only: the Snakefile imports it, to say what failed.
"""

import json
import os
import platform
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from srctrace import grid, slurm
from srctrace.causes import CANCELLED, MEMORY, NODE, REFUSED, TIME, read
from srctrace.errors import UserError
from srctrace.journal import JOURNAL
from srctrace.report.runtimes import duration

TAIL = 12  # lines of a failed job's log
# What Slurm's reasons mean, of jobs that may wait for ever.
REASONS = {
    "PartitionTimeLimit": "it asks for more time than its partition gives: set its runtime, or group fewer",
    "QOSMaxWallDurationPerJobLimit": "it asks for more time than its quality of service gives: set its runtime",
    "launch failed requeued held": "a node could not start it: mend that, then `scontrol release` it",
    "BadConstraints": "no node has what it asks for",
    "ReqNodeNotAvail": "no node has what it asks for, or they are kept for others",
}
MARKS = {"done": "+", "running": ">", "queued": "~", "failed": "x", "waiting": "."}


@dataclass
class Job:
    """A job of the run: its latest attempt."""

    number: int
    rule: str
    wildcards: dict
    log: list[str]
    resources: dict
    attempt: int = 1
    state: str = "running"  # or queued, done, failed
    slurm: str = ""
    why: str = ""
    cause: str = ""
    slurm_log: str = ""

    @property
    def title(self) -> str:
        """What it is, in words."""
        words = (f"seed{value}" if name == "seed" else value for name, value in self.wildcards.items())
        return " ".join([self.rule, *words])


@dataclass
class Run:
    """The latest run of a folder."""

    began: float
    host: str
    pid: int
    executor: str
    planned: dict[str, int]
    config: dict
    jobs: dict[int, Job] = field(default_factory=dict)
    success: bool | None = None  # not known before its end
    ended: float = 0.0

    @property
    def alive(self) -> bool | None:
        """Whether its process is there; None where only another machine can tell."""
        if self.success is not None:
            return False
        return os.path.exists(f"/proc/{self.pid}") if self.host == platform.node() else None


def read_run(folder: str | os.PathLike) -> Run:
    """The latest run in a working directory.

    Raises:
        UserError: there was none.
    """
    path = Path(folder) / JOURNAL
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: no run was started in {Path(folder).resolve()}") from None
    run, members = None, {}
    for entry in _entries(lines):
        event = entry["event"]
        if event == "run":
            facts = {name: entry[name] for name in ("host", "pid", "executor", "planned", "config")}
            run, members = Run(began=entry["time"], **facts), {}
        elif run is not None:
            _take(run, members, event, entry)
    if run is None:
        raise UserError(f"{path}: no run in it")
    return run


def _entries(lines: Iterable[str]) -> Iterator[dict]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # cut off, when a run was killed
            continue
        if isinstance(entry, dict) and "event" in entry:
            yield entry


def _take(run: Run, members: dict[str, list[int]], event: str, entry: Mapping) -> None:
    """Let a run's state follow from a further entry of its journal."""
    if event == "job":
        number = entry["job"]
        earlier = run.jobs.get(number)
        facts = {name: entry[name] for name in ("rule", "wildcards", "log", "resources")}
        run.jobs[number] = Job(number, **facts, attempt=earlier.attempt + 1 if earlier else 1)
    elif event == "group":
        for name in entry["jobs"]:
            members[name] = list(entry["jobs"].values())
    elif event == "slurm":
        for number in members.get(entry["job"], [entry["job"]]):
            if job := run.jobs.get(int(number)):
                job.slurm, job.slurm_log = entry["slurm"], entry["log"]
    elif event == "done":
        if job := run.jobs.get(entry["job"]):
            job.state = "done"
    elif event == "failed":
        if job := run.jobs.get(entry["job"]):
            job.state, job.why, job.cause = "failed", job.why or entry["why"], entry["cause"]
    elif event == "end":
        run.success, run.ended = entry["success"], entry["time"]


def failures(folder: str | os.PathLike) -> list[str]:
    """What failed in the latest run, why and what to do about it, with the last lines of each log."""
    run = read_run(folder)
    failed = [job for job in run.jobs.values() if job.state == "failed"]
    return [line for job in failed for line in _failure(Path(folder), job, run.executor)]


def report(folder: str | os.PathLike) -> list[str]:
    """How the latest run of a working directory stands, as lines for a terminal.

    Raises:
        UserError: there was no run.
    """
    run = read_run(folder)
    queue = _ask_queue(run)
    for job in run.jobs.values():
        if job.state == "running" and job.slurm and queue is not None:
            state, reason = queue.get(job.slurm, ("gone", ""))
            if state in ("PENDING", "CONFIGURING", "REQUEUED"):
                job.state, job.why = "queued", f"{reason}: {hint}" if (hint := REASONS.get(reason)) else reason
    return [_headline(run), "", *_stages(run), "", *_models(Path(folder), run), "", *_under_way(run), *failures(folder)]


def _ask_queue(run: Run) -> dict[str, tuple[str, str]] | None:
    if run.executor != "slurm" or run.success is not None:
        return None
    try:
        return slurm.states()
    except UserError:  # not on this machine, or not now
        return None


def _headline(run: Run) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.began))
    last = run.ended or time.time()
    what = f"Run of {began} on {run.host} ({run.executor})"
    if run.success is not None:
        return f"{what}: {'finished' if run.success else 'ended with failures'} after {duration(last - run.began)}"
    if run.alive is None:
        return f"{what}: not known to have ended; ask on {run.host} whether process {run.pid} is alive"
    if run.alive:
        return f"{what}: at work for {duration(last - run.began)}, process {run.pid}"
    return f"{what}: its process is gone, without an end: start it again, and it goes on"


def _stages(run: Run) -> list[str]:
    """A line for each rule that had something to do."""
    rows = []
    for rule, planned in run.planned.items():
        states = [job.state for job in run.jobs.values() if job.rule == rule]
        if rule != "all":
            rows.append([rule, *(str(states.count(state) or "") for state in ("done", "running", "queued", "failed"))])
            rows[-1].append(str(max(0, planned - len(states)) or ""))
    return _table([["", "done", "running", "queued", "failed", "waiting"], *rows])


def _models(folder: Path, run: Run) -> list[str]:
    """A mark for each model, and how many of its cells are scored."""
    tests = grid.tests(run.config)
    jobs = {}
    for job in run.jobs.values():
        if {"system", "train", "seed"} <= job.wildcards.keys():
            jobs[tuple(str(job.wildcards[name]) for name in ("system", "train", "seed"))] = job.state
    rows, done_cells, all_cells = {}, 0, 0
    for model in grid.models(run.config):
        place = folder / "results" / run.config["corpus"]["name"] / "models" / model.folder
        scored = sum((place / "scores" / f"{test}.tsv").exists() for test in tests[model.train])
        done_cells, all_cells = done_cells + scored, all_cells + len(tests[model.train])
        state = jobs.get((model.system, model.train, str(model.seed)), "waiting")
        if scored == len(tests[model.train]) and state in ("done", "waiting"):
            state = "done"
        elif state == "done":  # trained, and not yet scored
            state = "waiting"
        rows.setdefault(f"{model.system} seed {model.seed}", {})[model.train] = MARKS[state]
    lines = _table([["", *tests], *([name, *(row.get(train, "") for train in tests)] for name, row in rows.items())])
    legend = ", ".join(f"{mark} {state}" for state, mark in MARKS.items())
    return [f"Models, by what they are trained on ({legend}); {done_cells} of {all_cells} cells are scored:", *lines]


def _under_way(run: Run) -> list[str]:
    """A line for each job that is at work or in the queue; for those that were submitted as one, one."""
    together: dict[str | int, list[Job]] = {}
    for job in run.jobs.values():
        if job.state in ("running", "queued") and run.success is None:
            together.setdefault(job.slurm or job.number, []).append(job)
    lines = []
    for first, *others in together.values():
        facts = [f"Slurm {first.slurm}"] if first.slurm else []
        facts += [f"attempt {first.attempt}"] if first.attempt > 1 else []
        facts += [first.why] if first.why else []
        more = f" and {len(others)} more" if others else ""
        lines.append(f"{first.state}: {first.title}{more}" + (f" ({', '.join(facts)})" if facts else ""))
    return [*sorted(lines, reverse=True), ""] if lines else []


def _table(rows: list[list[str]]) -> list[str]:
    """Rows of text, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *others = widths
    return [
        "  ".join(
            [row[0].ljust(first), *(text.rjust(width) for text, width in zip(row[1:], others, strict=True))]
        ).rstrip()
        for row in rows
    ]


def _failure(folder: Path, job: Job, executor: str) -> list[str]:
    # What runs on this machine is not held to what it asks for: its own words say what to do.
    advice = "" if executor == "local" else _advice(job)
    attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
    lines = [f"failed: {job.title}{attempt}{': ' if advice else ''}{advice}"]
    for name in dict.fromkeys(name for name in [*job.log, job.slurm_log] if name):
        tail = [line for line in re.split(r"[\r\n]+", read(folder / name)) if line.strip()][-TAIL:]
        lines += [f"  {name}:" if tail else f"  {name}: empty", *(f"    {line[:300]}" for line in tail)]
    return [*lines, ""]


def _advice(job: Job) -> str:
    """What stopped a job, and what to raise where."""
    for cause, resource in ((MEMORY, "mem_mb"), (TIME, "runtime")):
        if job.cause == cause and (asked := job.resources.get(resource)):
            return (
                f"out of {cause} with {resource}={asked}: raise it, in slurm/config.yaml under set-resources, or with "
                f"--set-resources {job.rule}:{resource}={2 * asked}"
            )
    if job.cause == REFUSED:
        return f"Slurm refuses it: {re.sub(r'(?s).*?message was |    sbatch call.*', '', job.why).strip()}"
    return {
        NODE: "its node failed: run again",
        CANCELLED: "cancelled, by a person or by the scheduler: run again",
    }.get(job.cause, "")
