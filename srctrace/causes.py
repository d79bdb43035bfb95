"""Why a job of a batch system failed, by what its logs and Slurm say. Standard library only."""

import re
from collections.abc import Iterable
from pathlib import Path

MEMORY, TIME, NODE, CANCELLED, REFUSED = "memory", "time", "node", "cancelled", "refused"
STOPPED = "stopped by signal 15"  # what a training says that was told to leave

# The first that fits. What was said comes first: logs may be of an earlier attempt. A job that was cancelled was told
# to leave too, as was one that ran out of time. For a GPU's memory, more of the machine's does not help.
SAID = {
    REFUSED: r"sbatch failed",
    CANCELLED: r"SLURM status is: 'CANCELLED",
}
ANYWHERE = {
    MEMORY: r"OUT_OF_MEMORY|oom.kill|exceeded (job )?memory limit|(?<!CUDA )out of memory",
    NODE: r"NODE_FAIL|BOOT_FAIL|DUE TO NODE FAILURE",
    TIME: rf"'TIMEOUT'|'DEADLINE'|DUE TO TIME LIMIT|{STOPPED}",
    CANCELLED: r"CANCELLED AT",
}


def cause(said: str, logs: Iterable[str | Path]) -> str:
    """The cause of a failure, or an empty text where it is the job's own.

    Args:
        said: what Snakemake was told.
        logs: files, of which some may not be there.
    """
    texts = "\n".join([said, *map(read, logs)])
    found = [name for name, pattern in SAID.items() if re.search(pattern, said)]
    found += [name for name, pattern in ANYWHERE.items() if re.search(pattern, texts, re.IGNORECASE)]
    return found[0] if found else ""


def read(path: str | Path) -> str:
    """The text of a log, or nothing."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
