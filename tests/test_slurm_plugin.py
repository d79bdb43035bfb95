"""What is changed of Snakemake's plugin for Slurm."""

import asyncio
from types import SimpleNamespace

import pytest

from srctrace import slurm


@pytest.fixture
def plugin(monkeypatch):
    """Its executor, put back after the test."""
    from snakemake_executor_plugin_slurm import Executor

    for name in ("check_active_jobs", "report_job_success", "report_job_error"):
        monkeypatch.setattr(Executor, name, getattr(Executor, name))
    return Executor


def test_jobs_that_slurm_says_nothing_of_are_kept(plugin, monkeypatch):
    async def check(self, active_jobs):
        running, ended, failed, _ = active_jobs
        self.report_job_success(ended)
        self.report_job_error(failed, msg="…")
        yield running

    monkeypatch.setattr(plugin, "check_active_jobs", check)
    for name in ("report_job_success", "report_job_error"):
        monkeypatch.setattr(plugin, name, lambda self, job_info, msg=None: None)
    slurm.keep_unanswered()
    jobs = [SimpleNamespace(name=name) for name in ("running", "ended", "failed", "unanswered")]

    async def left():
        executor = plugin.__new__(plugin)
        return [job.name async for job in executor.check_active_jobs(jobs)]

    assert asyncio.run(left()) == ["running", "unanswered"]
    assert asyncio.run(left()) == ["running", "unanswered"]
