"""The report's page: one HTML file that needs nothing beside itself, neither network nor script."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from srctrace import grid, provenance
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.grid import VARIANTS
from srctrace.report import headline
from srctrace.report.canvas import percent
from srctrace.report.cells import Cell, group, mean, pick
from srctrace.report.class_table import class_table
from srctrace.report.color import shade
from srctrace.report.corpus_tables import corpus_table, split_table
from srctrace.report.figures import chance
from srctrace.report.inputs import ReportData, ReportInputs
from srctrace.report.names import protocol_figure, system_figure
from srctrace.report.paper import compare
from srctrace.report.published import beside
from srctrace.report.runtimes import duration, read_runtimes

TEMPLATES = Path(__file__).parent / "templates"
COLLECTED = ("metrics", "classes", "confusion")  # jobs of the rule `collect`
TITLES = {
    "mono": "Mono- and cross-lingual",
    "family": "Language families",
    "unseen-language": "Seen and unseen languages",
    "unseen-speaker": "Seen and unseen speakers",
    "pooled": "All languages together",
    grid.OUT_OF_SET: "Out-of-set sources",
}


@dataclass(frozen=True)
class Origin:
    """Where a report comes from, beside its inputs."""

    versions: Mapping[str, str]
    machine: Mapping[str, str]
    commit: str  # empty outside of a checkout; ends with `+changes` where files differ from it


@dataclass(frozen=True)
class Figure:
    """A figure inside the page."""

    data: Markup  # a data: address
    width: int
    height: int
    alt: str
    caption: str


def this_origin() -> Origin:
    """Versions, machine and commit of the running program."""
    return Origin(provenance.versions(), provenance.machine(), provenance.git_commit(Path(__file__).parent))


def write_report(
    inputs: ReportInputs, figures: str | os.PathLike, out: str | os.PathLike, origin: Origin | None = None
) -> None:
    """Write the page to `out`.

    Args:
        figures: the folder that `figures.write_figures` wrote to.
        origin: for the section on provenance; that of the running program if left out.

    Raises:
        UserError: a table or a figure is missing or malformed.
    """
    data = ReportData(inputs)
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8") + _shade_classes()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": percent,
        "points": headline.points,
        "duration": duration,
        "band": _band,
        "chance": _chance,
    }
    page = environment.get_template("report.html.j2").render(
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        **_context(data, Path(figures), origin or this_origin()),
    )
    with atomic_path(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _context(data: ReportData, figures: Path, origin: Origin) -> dict:
    corpus = data.config["corpus"]
    eval_counts = [sum(row["split"] == "eval" for row in rows) for rows in data.splits.get("mono", {}).values()]
    kinds = {condition.kind for condition in grid.conditions(data.config).values()}  # jobs that list conditions
    models = {f"{cell.system}-{cell.train}-seed{seed}" for cell in data.cells for seed, _ in cell.by_seed}
    return {
        "corpus": data.corpus,
        "builtin": corpus["type"] == "builtin",
        "out_of_set": [source for source in corpus_table(data).sources if source in corpus["out_of_set"]],
        "protocols": [_protocol(data, protocol, figures) for protocol in data.protocols],
        "systems": data.order.unique(cell.system for cell in data.cells),
        "seeds": data.order.unique(seed for cell in data.cells for seed, _ in cell.by_seed),
        "n_models": len(models),
        "corpus_table": corpus_table(data),
        "speakers": data.speakers,
        "conditions": [
            (TITLES[protocol], split_table(data, protocol)) for protocol, found in data.splits.items() if found
        ],
        "frontends": data.frontends,
        "sizes": compare(data.config, eval_counts, [frontend for frontend, _ in data.frontends]),
        "config": json.dumps(data.config, indent=2, ensure_ascii=False),
        "origin": asdict(origin),
        "hashes": _hashes(data.inputs),
        "runtimes": read_runtimes(data.inputs.benchmarks, {*data.order.names, *COLLECTED, *kinds, *models}),
    }


def _protocol(data: ReportData, protocol: str, figures: Path) -> dict:
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
    return {
        "name": protocol,
        "title": TITLES[protocol],
        "columns": data.order.unique(cell.column for cell in cells),
        "tables": _tables(data, cells, systems),
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
        "side_by_side": _embed(
            figures / protocol_figure(protocol, "systems"),
            "Systems side by side. " + " ".join(_spoken(line) for line in lines),
            "Mean macro-F1 of each system over the clean cells; trivial baselines in grey.",
        ),
        "robustness": _embed(
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
            maps.append(_embed(path, f"Heat map of macro-F1, {words}. {spoken}", f"{system}, {words}."))
    at = {(cell.train, cell.test, cell.variant): cell for cell in cells}
    pairs = list(dict.fromkeys((cell.train, cell.test) for cell in cells))
    clean = pick(cells, variant="clean")
    trains = data.trains(protocol)
    curves = [curve for curve in data.curves if curve.system == system and curve.train in trains and curve.rows]
    return {
        "name": system,
        "maps": maps,
        "rows": [(train, test, [at.get((train, test, variant)) for variant in variants]) for train, test in pairs],
        "confusion": _embed(
            figures / system_figure(protocol, system, "confusion"),
            f"Confusion matrices of {system}, clean trials. The table per class has recall and precision.",
            f"{system}, clean trials, summed over cells{' and seeds' if len(clean[0].by_seed) > 1 else ''}.",
        )
        if clean
        else None,
        "curves": _embed(
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
    train condition and column is marked."""
    tables = []
    for variant in ("clean", "all"):
        own = pick(cells, variant=variant)
        at = {(cell.system, cell.train, cell.column): cell for cell in own}
        best: dict[tuple[str, str], float] = {}
        for cell in own:
            place = cell.train, cell.column
            best[place] = max(best.get(place, 0.0), cell.macro_f1)
        trains = data.order.unique(cell.train for cell in own)
        columns = data.order.unique(cell.column for cell in own)
        rows = [
            (system, [(train, [at.get((system, train, column)) for column in columns]) for train in trains])
            for system in systems
        ]
        if own:
            tables.append(
                {"variant": variant, "columns": columns, "rows": rows, "best": best if len(systems) > 1 else {}}
            )
    return tables


def _models_of(data: ReportData, protocol: str) -> str:
    """The title of an earlier protocol that has the same models; empty if there is none."""
    for earlier in data.protocols[: data.protocols.index(protocol)]:
        if set(data.trains(protocol)) <= set(data.trains(earlier)):
            return TITLES[earlier]
    return ""


def _embed(path: Path, alt: str, caption: str) -> Figure:
    """A figure as a data: address: shown as an image, it cannot touch the page's styles or ids, nor run anything."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such figure: write the figures first") from None
    head = content[:2000].decode(errors="replace")
    width, height = (float(part) for part in head.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split())
    address = "data:image/svg+xml;base64," + base64.b64encode(content).decode()
    return Figure(Markup(address), round(width / 0.75), round(height / 0.75), alt, caption)


def _spoken(line: headline.Line) -> str:
    means = ", ".join(f"{name} {percent(value)}" for name, value in line.means.items())
    worst = f"lowest {percent(line.worst.macro_f1)}, trained on {line.worst.train} and tested on {line.worst.test}"
    return f"{line.name}: {means}; {worst}."


def _spoken_curves(curves: Sequence) -> str:
    best = [max(row["dev_macro_f1"] for row in curve.rows) for curve in curves]
    if not best:
        return "none."
    return f"best dev macro-F1 from {percent(min(best))} to {percent(max(best))}."


def _hashes(inputs: ReportInputs) -> list[tuple[str, str]]:
    """Digests of the tables that say what was trained and tested on what, named by the ends of their paths."""
    tables = {"manifest.tsv": inputs.manifest, **{"/".join(path.parts[-3:]): path for path in inputs.splits}}
    return [(name, provenance.sha256(path)) for name, path in tables.items()]


def _band(rate: float) -> str:
    """The class of a table cell with this rate."""
    return f"r{round(20 * min(max(rate, 0.0), 1.0))}"


def _chance(p: float) -> str:
    """A p-value in words."""
    return f"{p:.4f}" if p >= 0.0001 else "below 0.0001"


def _shade_classes() -> str:
    """The figures' colour scale in steps of 5 %, for tables: a strict policy allows no style in elements."""
    colors = [shade(step / 20) for step in range(21)]
    return "".join(f".r{step}{{background:{fill};color:{ink}}}\n" for step, (fill, ink) in enumerate(colors))
