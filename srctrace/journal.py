"""The journal of a run: what Snakemake's main process did with each job, one JSON object per line.

It is written to `results/logs/jobs.jsonl`, from the events that Snakemake gives to its loggers, and read by
`srctrace status`. Standard library only: the Snakefile imports it.

    {"event": "run", "time": …, "host": …, "pid": …, "executor": …, "planned": {rule: jobs}, "config": {…}}
    {"event": "job", "time": …, "job": 7, "rule": "train", "wildcards": {…}, "log": […], "resources": {…}}
    {"event": "group", "time": …, "jobs": {"<id>": 8, …}}   jobs that are submitted as one, under one of these ids
    {"event": "slurm", "time": …, "job": "7", "slurm": "4711", "log": "…"}
    {"event": "done", "time": …, "job": 7}
    {"event": "failed", "time": …, "job": 7, "why": "…", "cause": "memory", "log": […]}
    {"event": "end", "time": …, "success": true}
"""

import json
import logging
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from srctrace.causes import cause

JOURNAL = "results/logs/jobs.jsonl"
RESOURCES = ("mem_mb", "runtime", "gpu", "gres")
SUBMITTED = re.compile(r"Job (\S+) has been submitted with SLURM jobid (\S+) \(log: (.*)\)")


class Journal(logging.Handler):
    """Writes the events of Snakemake's main process into the journal."""

    def __init__(self, executor: str, planned: Mapping[str, int], config: Mapping, path: str = JOURNAL):
        super().__init__(logging.INFO)
        self._wildcards: dict[int, frozenset] = {}
        self._causes: Counter = Counter()
        self._group_causes: dict[int, str] = {}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open for as long as the process
        self.file.write("\n")  # the last line may have been cut off; an empty one says nothing
        self._write(
            "run",
            host=platform.node(),
            pid=os.getpid(),
            executor=executor,
            planned=dict(planned),
            config=config,
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Take an event; called by `logging`, and never in the way of a run."""
        try:
            self._take(record)
        except Exception:
            self.handleError(record)

    def failed_for(self, wildcards: Mapping[str, str], cause: str) -> int:
        """How often jobs with these wildcards, of any rule, have failed for a cause in this run."""
        return self._causes[frozenset(wildcards.items()), cause]

    def end(self, success: bool) -> None:
        """The run is over."""
        self._write("end", success=success)

    def _take(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == "job_info":
            self._wildcards[record.jobid] = frozenset(record.wildcards.items())
            resources = {name: record.resources.get(name) for name in RESOURCES if record.resources.get(name)}
            self._write(
                "job",
                job=record.jobid,
                rule=record.rule_name,
                wildcards=dict(record.wildcards),
                log=list(record.log),
                resources={**resources, "threads": record.threads},
            )
        elif event == "job_finished":
            self._write("done", job=record.job_id)
        elif event == "group_info":
            self._write("group", jobs={job.uuid(): job.jobid for job in record.jobs})
        elif event == "group_error":  # followed by an error of each member, which says less
            why = cause("", record.aux_logs)
            self._group_causes |= {info["jobid"]: why for info in record.job_error_info}
        elif event == "job_error":
            why = self._group_causes.pop(record.jobid, "") or cause(record.rule_msg or "", record.log)
            self._causes[self._wildcards.get(record.jobid), why] += 1
            self._write("failed", job=record.jobid, why=record.rule_msg or "", cause=why, log=list(record.log))
        elif event is None and (found := SUBMITTED.match(record.getMessage())):
            self._write("slurm", job=found[1], slurm=found[2], log=found[3])

    def _write(self, event: str, **what: object) -> None:
        self.file.write(json.dumps({"event": event, "time": round(time.time(), 1), **what}) + "\n")
