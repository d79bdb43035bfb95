"""Precision, recall and F1 of each source: means over clean cells and seeds."""

from collections.abc import Sequence
from statistics import fmean

from srctrace.report.cells import group, pick
from srctrace.report.inputs import ReportData, select

RATES = ("precision", "recall", "f1")


def class_table(data: ReportData, protocol: str, systems: Sequence[str]) -> list[dict]:
    """One row per system, group of cells and source."""
    table = []
    for system in systems:
        clean = pick(data.cells, protocol=protocol, system=system, variant="clean")
        rows = select(data.classes, protocol=protocol, system=system, variant="clean")
        for name, cells in group(clean).items() if clean else ():
            pairs = {(cell.train, cell.test) for cell in cells}
            members = [row for row in rows if (row["train"], row["test"]) in pairs]
            for source in data.order.unique(row["source"] for row in members):
                own = select(members, source=source)
                rates = {rate: fmean(float(row[rate]) for row in own) for rate in RATES}
                trials = sum(int(row["n_trials"]) for row in own)
                table.append({"system": system, "group": name, "source": source, "trials": trials, **rates})
    return table
