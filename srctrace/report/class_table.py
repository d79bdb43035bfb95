"""Precision, recall and F1 of each source: means over clean cells and seeds."""

from collections.abc import Sequence
from statistics import fmean

from srctrace.report.cells import group, pick
from srctrace.report.inputs import ReportData, Row

RATES = ("precision", "recall", "f1")


def class_table(data: ReportData, protocol: str, systems: Sequence[str]) -> list[dict]:
    """One entry per system: its sources, each with trials and rates for every group of cells that has it."""
    table = []
    for system in systems:
        clean = pick(data.cells, protocol=protocol, system=system, variant="clean")
        if not clean:
            continue
        group_of = {(cell.train, cell.test): name for name, cells in group(clean).items() for cell in cells}
        rows: dict[tuple[str, str], list[Row]] = {}
        for row in data.classes.get((protocol, system), []):
            name = group_of.get((row["train"], row["test"]))
            if name is not None:
                rows.setdefault((row["source"], name), []).append(row)
        sources = data.order.unique(source for source, _ in rows)
        cells = {source: {name: _cell(own) for (of, name), own in rows.items() if of == source} for source in sources}
        table.append({"system": system, "sources": cells})
    return table


def _cell(rows: Sequence[Row]) -> dict[str, float]:
    rates = {rate: fmean(float(row[rate]) for row in rows) for rate in RATES}
    return {"trials": sum(int(row["n_trials"]) for row in rows), **rates}
