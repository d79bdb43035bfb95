"""How long the rules of the workflow ran, from what Snakemake's `benchmark:` wrote."""

import math
import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from srctrace.tables import read_table


@dataclass(frozen=True)
class Runtime:
    """The jobs of one rule."""

    rule: str
    jobs: int
    seconds: float  # of all jobs together
    longest: float
    memory: float | None  # most megabytes of any job; none if no job ran long enough to be measured


def read_runtimes(folder: str | os.PathLike | None, jobs: Container[str]) -> list[Runtime]:
    """One entry per rule, from `{rule}/{job}.tsv` below `folder`; none if there is no such folder.

    Args:
        jobs: the run's: the folder may have others, of runs before it.
    """
    if folder is None:
        return []
    rows_of: dict[str, list[dict[str, str]]] = {}
    for path in sorted(Path(folder).rglob("*.tsv")):
        if path.stem in jobs:
            rows_of.setdefault(path.parent.name, []).extend(read_table(path, ["s"]))
    found = [_runtime(rule, rows) for rule, rows in rows_of.items() if rows]
    return sorted(found, key=lambda runtime: (-runtime.seconds, runtime.rule))


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _runtime(rule: str, rows: Sequence[dict[str, str]]) -> Runtime:
    seconds = [number for row in rows if (number := _number(row["s"])) is not None]
    memory = [number for row in rows if (number := _number(row.get("max_rss", ""))) is not None]
    return Runtime(rule, len(rows), sum(seconds), max(seconds, default=0.0), max(memory, default=None))


def _number(text: str) -> float | None:
    """The number; Snakemake writes `-` or `NA` where it could not measure."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
