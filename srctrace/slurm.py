"""What is asked of Slurm beside what Snakemake's plugin does. Standard library only: the Snakefile imports it."""

import functools
import math
import os
import re
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from srctrace.errors import UserError

RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")  # the plugin gives all jobs of a run this name
CLIENT_SECONDS = 60


def states() -> dict[str, tuple[str, str]]:
    """Slurm's id of each of the user's jobs in the queue to its state and, where it waits, the reason."""
    return {job.number: (job.state, job.reason) for job in _queue()}


@functools.cache
def limits(partition: str) -> tuple[float, float]:
    """Minutes that a job may take in a partition, and megabytes that its largest node has; infinite where not known.

    A job that asks for more waits for ever, or is refused. An empty name stands for the default partition.
    """
    try:
        listing = _ask("sinfo", "--noheader", "--exact", "--format", "%P\t%l\t%m")
    except UserError:
        return math.inf, math.inf
    rows = [line.split("\t") for line in listing.splitlines()]
    ours = [row for row in rows if (row[0].rstrip("*") == partition if partition else row[0].endswith("*"))]
    if not ours:
        return math.inf, math.inf
    return _minutes(ours[0][1]), max(float(memory.rstrip("+")) for _, _, memory in ours)


def _minutes(text: str) -> float:
    """Of a time as Slurm writes it: [days-]hours:minutes:seconds, minutes:seconds, infinite or n/a."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return math.inf
    hours, minutes, _ = [0] * (3 - len(parts)) + [int(part) for part in parts]
    return int(days or 0) * 1440 + hours * 60 + minutes


def check_accounting() -> None:
    """Refuse to ask what cannot answer.

    Raises:
        UserError: there is no accounting, so sacct would never tell that a job has ended; or it does not answer now.
    """
    try:
        _ask("sacct", "--allocations", "--noheader", "--jobs", "1")
    except UserError as error:
        advice = ": set `slurm-status-command: squeue` in slurm/config.yaml" if "disabled" in str(error) else ""
        raise UserError(f"{error}{advice}") from None


def keep_unanswered() -> None:
    """Let Snakemake's plugin keep the jobs whose state it could not learn.

    Version 2.8 forgets them where Slurm has not answered for a while, and then waits for them for ever.
    """
    from snakemake_executor_plugin_slurm import Executor  # noqa: PLC0415 - only where jobs are submitted

    check, reported = Executor.check_active_jobs, set()

    def noted(report):
        def note(self, job_info, *arguments, **options):
            reported.add(id(job_info))
            return report(self, job_info, *arguments, **options)

        return note

    async def check_active_jobs(self, active_jobs):
        reported.clear()
        kept = set()
        async for job_info in check(self, active_jobs):
            kept.add(id(job_info))
            yield job_info
        for job_info in active_jobs:
            if id(job_info) not in kept | reported:
                yield job_info

    Executor.report_job_success = noted(Executor.report_job_success)
    Executor.report_job_error = noted(Executor.report_job_error)
    Executor.check_active_jobs = check_active_jobs


def orphans(workdir: str | os.PathLike) -> list[str]:
    """Jobs in the queue that Snakemake has submitted from a working directory, by their ids.

    Raises:
        UserError: Slurm does not answer.
    """
    own, workdir = os.environ.get("SLURM_JOB_ID", ""), os.path.realpath(workdir)
    return [
        job.number
        for job in _queue()
        if RUN_ID.search(job.name)
        and job.comment.startswith("rule_")
        and job.number != own
        and os.path.realpath(job.workdir) == workdir
    ]


def cancel(numbers: Sequence[str], seconds: float = 120) -> None:
    """Cancel jobs, and wait until they are gone: what still ends would delete what is made anew.

    Raises:
        UserError: Slurm does not answer, or some are still there after `seconds`.
    """
    _ask("scancel", *numbers)
    until = time.monotonic() + seconds
    while still := {job.number for job in _queue()} & set(numbers):
        if time.monotonic() > until:
            raise UserError(
                f"Slurm jobs {', '.join(sorted(still))} of an earlier run in this folder do not end: look at them with "
                "squeue, and start again when they are gone"
            )
        time.sleep(1)


class _Job(NamedTuple):
    number: str
    name: str
    workdir: str
    state: str
    reason: str
    comment: str


def _queue() -> list[_Job]:
    """The user's jobs."""
    listing = _ask("squeue", "--me", "--noheader", "--format", "%i\t%j\t%Z\t%T\t%r\t%k")
    rows = (line.split("\t") for line in listing.splitlines())
    return [_Job(*row) for row in rows if len(row) == len(_Job._fields)]


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS, check=True)
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not found: this is no machine that submits to Slurm") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]}: Slurm's controller does not answer") from None
    except subprocess.CalledProcessError as error:
        raise UserError(f"{command[0]}: {error.stderr.strip()}") from None
    return done.stdout
