"""What the page shows of one protocol."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from srctrace import grid
from srctrace.grid import VARIANTS
from srctrace.report import headline
from srctrace.report.calibration import calibration_table
from srctrace.report.canvas import percent
from srctrace.report.cells import Cell, group, mean, pick
from srctrace.report.class_table import class_table
from srctrace.report.embed import embed
from srctrace.report.figures import chance
from srctrace.report.inputs import ReportData
from srctrace.report.names import protocol_figure, system_figure
from srctrace.report.panels import panels
from srctrace.report.published import beside

TITLES = {
    "mono": "Mono- and cross-lingual",
    "family": "Language families",
    "unseen-language": "Seen and unseen languages",
    "unseen-speaker": "Seen and unseen speakers",
    "pooled": "All languages together",
    grid.OUT_OF_SET: "Unknown sources",
}


def protocol_view(data: ReportData, protocol: str, figures: Path) -> dict:
    """What the template shows of one protocol."""
    cells = pick(data.cells, protocol=protocol)
    clean = pick(cells, variant="clean")
    baselines = data.baselines.get(protocol, [])
    systems = data.systems(protocol)
    findings = data.findings.get(protocol, [])
    baseline_names = data.order.unique(cell.system for cell in baselines)
    lines = [
        headline.summary_line(name, own, baseline)
        for names, source, baseline in ((systems, clean, False), (baseline_names, baselines, True))
        for name in names
        if (own := pick(source, system=name))
    ]
    groups = list(dict.fromkeys(name for line in lines if not line.baseline for name in line.means))
    by_chance = chance(data.sources(protocol))
    builtin = data.config["corpus"]["type"] == "builtin"
    seeds = data.order.unique(seed for cell in cells for seed, _ in cell.by_seed)
    variants = [variant for variant in ("all", *VARIANTS) if pick(cells, variant=variant)]
    behind = panels(data, protocol)
    return {
        "name": protocol,
        "title": TITLES[protocol],
        "columns": data.order.unique(cell.column for cell in cells),
        "tables": _tables(data, cells, systems),
        "panels": behind,
        "opens": {(panel.cell.system, panel.cell.train, panel.cell.test) for panel in behind},
        "calibration": calibration_table(data, protocol),
        "reliability": embed(
            figures / protocol_figure(protocol, "reliability"),
            "Reliability: accuracy by confidence, before and after temperature scaling. The table has the gaps.",
            "Accuracy by confidence in ten bins, trials of all variants and cells together; bins with less than 1 % of "
            "them are left out. On the dotted line, a probability means what it says.",
        ),
        "published": beside(data.config, cells) if protocol == "family" else [],
        "models_of": _models_of(data, protocol),
        "chance": by_chance,
        "groups": groups,
        "lines": lines,
        "best": _best(lines, groups),
        "tiles": headline.tiles(lines, clean),
        "half_width": headline.mean_half_width(clean),
        "statements": headline.statements(clean, lines, by_chance, findings),
        "paper_statements": [] if builtin or protocol != "mono" else headline.paper_statements(clean, lines),
        "systems": [_system(data, protocol, system, variants, figures) for system in systems],
        "side_by_side": embed(
            figures / protocol_figure(protocol, "systems"),
            "Systems side by side. " + " ".join(_spoken(line) for line in lines),
            "Mean macro-F1 of each system over the clean cells; trivial baselines in grey.",
        ),
        "robustness": embed(
            figures / protocol_figure(protocol, "variants"),
            "Macro-F1 by variant of the trials, one panel for each system. The table has the figures.",
            "Mean macro-F1 by variant. Every trial is the same utterance, clean or with something added.",
        ),
        "variants": variants,
        "variant_rows": _variant_rows(data, cells, systems, groups, variants),
        "classes": class_table(data, protocol, systems),
        "findings": findings,
        "baselines": [_grid(data, name, pick(baselines, system=name)) for name in baseline_names],
        "seeds": seeds,
        "least_seeds": grid.LEAST_SEEDS,
        "differences": data.differences.get(protocol, []),
        "seed_rows": headline.seed_table(clean, systems) if len(seeds) > 1 else [],
    }


def _system(data: ReportData, protocol: str, system: str, variants: Sequence[str], figures: Path) -> dict:
    cells = pick(data.cells, protocol=protocol, system=system)
    maps = []
    for variant in ("clean", "all"):
        own = pick(cells, variant=variant)
        if own:
            words = "clean trials" if variant == "clean" else "all variants together"
            path = figures / system_figure(protocol, system, f"heatmap-{variant}")
            spoken = _spoken(headline.summary_line(system, own))
            maps.append(embed(path, f"Heat map of macro-F1, {words}. {spoken}", f"{system}, {words}."))
    at = {(cell.train, cell.test, cell.variant): cell for cell in cells}
    pairs = list(dict.fromkeys((cell.train, cell.test) for cell in cells))
    clean = pick(cells, variant="clean")
    trains = data.trains(protocol)
    curves = [curve for curve in data.curves if curve.system == system and curve.train in trains and curve.rows]
    return {
        "name": system,
        "maps": maps,
        "rows": [
            (
                train,
                test,
                (_languages(data, [train]), _languages(data, [test])),
                [at.get((train, test, variant)) for variant in variants],
            )
            for train, test in pairs
        ],
        "confusion": embed(
            figures / system_figure(protocol, system, "confusion"),
            f"Confusion matrices of {system}, clean trials. The table per class has recall and precision.",
            f"{system}, clean trials, summed over cells{' and seeds' if len(clean[0].by_seed) > 1 else ''}.",
        )
        if clean
        else None,
        "curves": embed(
            figures / system_figure(protocol, system, "curves"),
            f"Training curves of {system}: " + _spoken_curves(curves),
            f"{system}: {len(curves)} {'model' if len(curves) == 1 else 'models'}.",
        )
        if curves
        else None,
    }


def _best(lines: Sequence[headline.Line], groups: Sequence[str]) -> dict[str, str]:
    """Group to the system that is best in it, where there are several."""
    systems = [line for line in lines if not line.baseline]
    if len(systems) < 2:
        return {}
    found = {}
    for name in groups:
        found[name] = max(systems, key=lambda line: line.means.get(name, -1.0)).name
    return found


def _variant_rows(
    data: ReportData, cells: Sequence[Cell], systems: Sequence[str], groups: Sequence[str], variants: Sequence[str]
) -> list[tuple[str, str, list[float | None]]]:
    rows = []
    for system in systems:
        by_variant = [group(own) if (own := pick(cells, system=system, variant=v)) else {} for v in variants]
        rows += [(system, name, [mean(found.get(name, [])) for found in by_variant]) for name in groups]
    return rows


def _grid(data: ReportData, name: str, cells: Sequence[Cell]) -> dict:
    """A heat map as a table."""
    trains = data.order.unique(cell.train for cell in cells)
    columns = data.order.unique(cell.column for cell in cells)
    at = {(cell.train, cell.column): cell for cell in cells}
    rows = [(train, [(column, at.get((train, column))) for column in columns]) for train in trains]
    return {"name": name, "columns": columns, "rows": rows}


def _tables(data: ReportData, cells: Sequence[Cell], systems: Sequence[str]) -> list[dict]:
    """The protocol as one table for each of `clean` and `all`: systems and train conditions down; the best system of a
    train condition and column is marked. Clean cells have the id of their panel and of their place."""
    tables = []
    for variant in ("clean", "all"):
        own = pick(cells, variant=variant)
        at = {(cell.system, cell.train, cell.column): cell for cell in own}
        best: dict[tuple[str, str], float] = {}
        for cell in own:
            place = cell.train, cell.column
            best[place] = max(best.get(place, 0.0), cell.macro_f1)
        trains = data.order.unique(cell.train for cell in own)
        columns = {
            column: _languages(data, {cell.test for cell in own if cell.column == column})
            for column in data.order.unique(cell.column for cell in own)
        }
        rows = [
            (
                system,
                [
                    (train, _languages(data, [train]), [at.get((system, train, column)) for column in columns])
                    for train in trains
                ],
            )
            for system in systems
        ]
        if own:
            tables.append(
                {"variant": variant, "columns": columns, "rows": rows, "best": best if len(systems) > 1 else {}}
            )
    return tables


def _languages(data: ReportData, conditions: Iterable[str]) -> str:
    """The languages of conditions, as the page's filters take them."""
    return " ".join(dict.fromkeys(language for name in conditions for language in data.languages(name)))


def _models_of(data: ReportData, protocol: str) -> str:
    """The title of an earlier protocol that has the same models; empty if there is none."""
    for earlier in data.protocols[: data.protocols.index(protocol)]:
        if set(data.trains(protocol)) <= set(data.trains(earlier)):
            return TITLES[earlier]
    return ""


def _spoken(line: headline.Line) -> str:
    means = ", ".join(f"{name} {percent(value)}" for name, value in line.means.items())
    worst = f"lowest {percent(line.worst.macro_f1)}, trained on {line.worst.train} and tested on {line.worst.test}"
    return f"{line.name}: {means}; {worst}."


def _spoken_curves(curves: Sequence) -> str:
    best = [max(row["dev_macro_f1"] for row in curve.rows) for curve in curves]
    if not best:
        return "none."
    return f"best dev macro-F1 from {percent(min(best))} to {percent(max(best))}."
