"""Panels behind the cells of a protocol's table: the confusion matrix, and some of the trials that were got wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from srctrace.report.cells import Cell, pick
from srctrace.report.confusion import Matrix
from srctrace.report.examples import shown
from srctrace.report.inputs import ReportData
from srctrace.report.names import opened, slug


@dataclass(frozen=True)
class Panel:
    """What opens behind a cell. Numbers are of clean trials; the matrix is summed over seeds."""

    cell: Cell
    id: str
    place: str  # id of the cell in the table
    matrix: Matrix | None
    seed: str  # whose trials are sampled; empty where none were
    n_trials: int
    n_wrong: int
    wrong: Sequence[dict]


def panels(data: ReportData, protocol: str) -> list[Panel]:
    """A panel for every clean cell of a protocol that opens."""
    here = {(cell.train.name, cell.test.name) for cell in opened(data.config) if cell.protocol == protocol}
    examples = {
        (cell["system"], cell["train"], cell["test"]): cell
        for cell in data.examples["cells"]
        if cell["protocol"] == protocol
    }
    found = []
    for system in data.systems(protocol):
        counts: dict[tuple[str, str], Counter] = {}
        for row in data.confusion.get((protocol, system), []):
            counts.setdefault((row["train"], row["test"]), Counter())[row["label"], row["predicted"]] += int(row["n"])
        for cell in pick(data.cells, protocol=protocol, system=system, variant="clean"):
            if (cell.train, cell.test) not in here:
                continue
            own = counts.get((cell.train, cell.test), Counter())
            sources = data.order.unique(name for pair in own for name in pair)
            example = examples.get((system, cell.train, cell.test), {"wrong": []})
            names = (protocol, system, cell.train, cell.test)
            found.append(
                Panel(
                    cell,
                    slug("cell", *names),
                    slug("at", *names),
                    Matrix(f"{cell.train} → {cell.test}", own, sources) if own.total() else None,
                    str(example.get("seed", "")),
                    example.get("n_trials", 0),
                    example.get("n_wrong", 0),
                    shown(example, data.examples["sounds"]),
                )
            )
    return found
