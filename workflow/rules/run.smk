# One run in a folder: its lock, what an earlier one has left, and its journal.

import fcntl
import platform

from snakemake.logging import logger

from srctrace import journal
from srctrace.errors import UserError
from srctrace.status import failures, read_run

RUN_LOCK = None


def take_run_lock():
    """Refuse a second run in this folder. The kernel drops this lock with the process, however that ends, while
    Snakemake's own lock outlives a killed run. Returns whether it can be relied on."""
    global RUN_LOCK
    RUN_LOCK = open(".snakemake/srctrace.lock", "w")
    try:
        fcntl.flock(RUN_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"another run is at work in {os.getcwd()}: wait for it to end, or use another folder"
        ) from None
    except OSError as error:
        logger.warning(f"this disk has no locks ({error.strerror}): see to it that one run only is at work here")
        return False
    return True


def end_orphans(locked):
    """End the jobs that a run which was killed has left with Slurm: they would be done twice, at the same time."""
    last = latest_run()
    left = last is not None and last.executor == "slurm" and last.success is None
    if not (is_slurm() or left):
        return
    try:
        orphans = slurm.orphans(os.getcwd())
        # A lock may hold on one machine only; there, this process would know of another.
        if orphans and not (locked and (not left or last.host == platform.node())):
            raise WorkflowError(
                f"Slurm has jobs of this folder ({' '.join(orphans)}), and it cannot be told from here whether the run that "
                f"submitted them is alive: if it is not, `scancel {' '.join(orphans)}` and start again"
            )
        if orphans:
            slurm.cancel(orphans)
            logger.warning(f"cancelled what an earlier run has left with Slurm: {', '.join(orphans)}")
    except UserError as error:
        if is_slurm():
            raise WorkflowError(str(error)) from None
        logger.warning(f"an earlier run may have left jobs with Slurm, which cannot be asked from here ({error})")


def latest_run():
    """What the journal says of the run before this one; nothing where there was none."""
    try:
        return read_run(".")
    except UserError:
        return None


def check_accounting():
    """Refuse to ask what does not answer: Snakemake would wait for ever."""
    try:
        if workflow.executor_settings.status_command == "sacct":
            slurm.check_accounting()
    except UserError as error:
        raise WorkflowError(str(error)) from None


JOURNAL = None  # open while the run lasts, in the process that a person started


def open_journal():
    """Write down what becomes of each job, for `srctrace status`."""
    global JOURNAL
    jobs = [job.rule.name for job in workflow.dag.needrun_jobs()]
    planned = {rule.name: jobs.count(rule.name) for rule in workflow.rules if rule.name in jobs}
    JOURNAL = journal.Journal(workflow.executor_plugin.name, planned, config)
    logger.addHandler(JOURNAL)


onstart:
    locked = take_run_lock()
    if is_slurm():
        check_accounting()
        slurm.keep_unanswered()
    end_orphans(locked)
    open_journal()


onsuccess:
    JOURNAL.end(success=True)


onerror:
    if JOURNAL:  # else it ended before it began
        JOURNAL.end(success=False)
        logger.error("\n".join(failures(".")))
