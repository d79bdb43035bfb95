"""Draw every figure of a report."""

import os
from collections.abc import Sequence
from pathlib import Path

from srctrace.grid import OUT_OF_SET, VARIANTS
from srctrace.report.calibration import draw_reliability
from srctrace.report.canvas import placeholder
from srctrace.report.cells import Cell, group, pick
from srctrace.report.confusion import draw_confusion, matrices
from srctrace.report.curves import draw_curves
from srctrace.report.detection import draw_detection
from srctrace.report.fewshot import draw_fewshot
from srctrace.report.heatmap import draw_heatmap
from srctrace.report.inputs import ReportData, ReportInputs
from srctrace.report.names import protocol_figure, system_figure
from srctrace.report.openset import by_method, draw_methods
from srctrace.report.systems import draw_systems, entries
from srctrace.report.variants import draw_variants

NOTHING = "nothing to show: this run has no such results"


def write_figures(inputs: ReportInputs, out_dir: str | os.PathLike) -> None:
    """Write the figures that `names.figure_names` lists for each protocol, below `out_dir`.

    A figure without data says so: which files there are depends on the config alone.

    Raises:
        UserError: a table is missing or malformed.
    """
    data = ReportData(inputs)
    for protocol in data.protocols:
        write_protocol(data, protocol, Path(out_dir))
    if OUT_OF_SET in data.config["protocols"]:
        write_open_set(data, Path(out_dir))


def write_open_set(data: ReportData, out_dir: Path) -> None:
    """Write the figures of unknown sources."""
    drawings = {
        "open-set": (by_method(data), draw_methods, "Unknown sources: methods"),
        "detection": (data.detection, draw_detection, "Unknown sources: errors"),
        "few-shot": (data.fewshot, draw_fewshot, "Few shots"),
    }
    for kind, (rows, draw, title) in drawings.items():
        path = out_dir / protocol_figure(OUT_OF_SET, kind)
        if rows:
            draw(path, data)
        else:
            placeholder(path, title, NOTHING)


def write_protocol(data: ReportData, protocol: str, out_dir: Path) -> None:
    """Write the figures of one protocol."""
    systems = data.systems(protocol)
    cells = pick(data.cells, protocol=protocol)
    clean = {system: pick(cells, system=system, variant="clean") for system in systems}
    _draw_side_by_side(data, protocol, clean, out_dir)
    for system in systems:
        own = pick(cells, system=system)
        trains = data.order.unique(cell.train for cell in own)
        columns = data.order.unique(cell.column for cell in own)
        for variant in ("clean", "all"):
            path = out_dir / system_figure(protocol, system, f"heatmap-{variant}")
            of_variant = pick(own, variant=variant)
            if of_variant:
                draw_heatmap(path, of_variant, trains, columns)
            else:
                placeholder(path, system, NOTHING)
        _draw_confusion(data, protocol, system, clean[system], out_dir)
        path = out_dir / system_figure(protocol, system, "curves")
        curves = [curve for curve in data.curves if curve.system == system and curve.train in trains and curve.rows]
        if curves:
            draw_curves(path, curves)
        else:
            placeholder(path, system, NOTHING)


def _draw_side_by_side(data: ReportData, protocol: str, clean: dict[str, list[Cell]], out_dir: Path) -> None:
    baselines = data.baselines.get(protocol, [])
    by_name = {name: pick(baselines, system=name) for name in data.order.unique(cell.system for cell in baselines)}
    lines = entries(clean, by_name)
    path = out_dir / protocol_figure(protocol, "systems")
    if lines:
        draw_systems(path, lines, chance(data.sources(protocol)))
    else:
        placeholder(path, "Systems side by side", NOTHING)
    path = out_dir / protocol_figure(protocol, "reliability")
    if any(row["protocol"] == protocol for row in data.reliability):
        draw_reliability(path, data, protocol)
    else:
        placeholder(path, "Reliability", NOTHING)
    path = out_dir / protocol_figure(protocol, "variants")
    cells = pick(data.cells, protocol=protocol)
    variants = [variant for variant in VARIANTS if pick(cells, variant=variant)]
    if variants:
        draw_variants(path, {system: pick(cells, system=system) for system in data.systems(protocol)}, variants)
    else:
        placeholder(path, "Robustness by variant", NOTHING)


def _draw_confusion(data: ReportData, protocol: str, system: str, clean: Sequence[Cell], out_dir: Path) -> None:
    group_of = {(cell.train, cell.test): name for name, found in group(clean).items() for cell in found}
    rows = data.confusion.get((protocol, system), [])
    sources = data.order.unique([*(row["label"] for row in rows), *(row["predicted"] for row in rows)])
    found = matrices(rows, group_of, sources)
    path = out_dir / system_figure(protocol, system, "confusion")
    if found:
        draw_confusion(path, system, found)
    else:
        placeholder(path, system, NOTHING)


def chance(sources: Sequence[str]) -> float | None:
    """Macro-F1 of guessing evenly among equally frequent sources; none without sources."""
    return 1 / len(sources) if sources else None
