"""The report's page: one HTML file that needs nothing beside itself, not even a network."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from srctrace import grid, provenance
from srctrace.files import atomic_path
from srctrace.openset.detectors import DEFAULT
from srctrace.report import headline
from srctrace.report.answers import answers
from srctrace.report.canvas import DASH, percent
from srctrace.report.color import shade
from srctrace.report.corpus_tables import corpus_table, split_table
from srctrace.report.embed import policy_digest
from srctrace.report.inputs import ReportData, ReportInputs
from srctrace.report.maps import COLOURS, maps
from srctrace.report.names import slug
from srctrace.report.open_set_view import open_set_view
from srctrace.report.paper import compare
from srctrace.report.projection import COLOURINGS
from srctrace.report.protocol_view import TITLES, protocol_view
from srctrace.report.runtimes import duration, read_runtimes

TEMPLATES = Path(__file__).parent / "templates"
# Jobs of the rule that collects tables.
COLLECTED = ("metrics", "classes", "confusion", "openset", "detection", "fewshot", "calibration", "reliability")


@dataclass(frozen=True)
class Origin:
    """Where a report comes from, beside its inputs."""

    versions: Mapping[str, str]
    machine: Mapping[str, str]
    commit: str  # empty outside of a checkout; ends with `+changes` where files differ from it


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
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8") + _shade_classes() + _colouring_classes()
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
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
        "rate": _rate,
        "decimals": _decimals,
        "slug": slug,
    }
    page = environment.get_template("report.html.j2").render(
        style=Markup(style),
        style_hash=policy_digest(style),
        script=Markup(script),
        script_hash=policy_digest(script),
        **_context(data, Path(figures), origin or this_origin()),
    )
    with atomic_path(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _context(data: ReportData, figures: Path, origin: Origin) -> dict:
    corpus = data.config["corpus"]
    eval_counts = [sum(row["split"] == "eval" for row in rows) for rows in data.splits.get("mono", {}).values()]
    kinds = {condition.kind for condition in data.conditions.values()}  # jobs that list conditions
    models = {f"{cell.system}-{cell.train}-seed{seed}" for cell in data.cells for seed, _ in cell.by_seed}
    return {
        "corpus": data.corpus,
        "builtin": corpus["type"] == "builtin",
        "out_of_set": [source for source in corpus_table(data).sources if source in corpus["out_of_set"]],
        "answers": answers(data),
        "filters": _filters(data),
        "protocols": [protocol_view(data, protocol, figures) for protocol in data.protocols],
        "systems": data.order.unique(cell.system for cell in data.cells),
        "seeds": data.order.unique(seed for cell in data.cells for seed, _ in cell.by_seed),
        "n_models": len(models),
        "open_set": open_set_view(data, figures) if data.openset else None,
        "default_method": DEFAULT,
        "maps": maps(data),
        "colourings": COLOURINGS,
        "sounds": _sounds(data),
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


def _filters(data: ReportData) -> dict[str, list[tuple[str, str]]]:
    """What can be shown alone: by sort, the values and their words. A sort with one value is no choice."""
    languages = [(language, language) for language in data.config["corpus"]["languages"]]
    systems = data.order.unique(cell.system for cell in data.cells)
    protocols = [*data.protocols, *([grid.OUT_OF_SET] if data.openset else [])]
    choices = {
        "protocol": [(protocol, TITLES[protocol]) for protocol in protocols],
        "system": [(system, system) for system in systems],
        "train": languages,
        "test": languages,
    }
    return {name: found for name, found in choices.items() if len(found) > 1}


def _sounds(data: ReportData) -> list[dict]:
    """The utterances to be heard, each with the models that were wrong."""
    found = {
        name: {"id": slug("sound", name), "name": name, **sound, "wrong": []}
        for name, sound in data.examples["sounds"].items()
    }
    for cell in data.examples["cells"]:
        for trial in cell["wrong"]:
            found[trial["utterance"]]["wrong"].append({**cell, **trial})
    rank = data.order.rank
    return sorted(found.values(), key=lambda sound: (rank(sound["language"]), rank(sound["source"]), sound["name"]))


def _hashes(inputs: ReportInputs) -> list[tuple[str, str]]:
    """Digests of the tables that say what was trained and tested on what, named by the ends of their paths."""
    tables = {"manifest.tsv": inputs.manifest, **{"/".join(path.parts[-3:]): path for path in inputs.splits}}
    return [(name, provenance.sha256(path)) for name, path in tables.items()]


def _band(rate: float) -> str:
    """The class of a table cell with this rate."""
    return f"r{round(20 * min(max(rate, 0.0), 1.0))}"


def _rate(value: float | None) -> str:
    """A rate in percent, or a dash where there is none."""
    return DASH if value is None else percent(value)


def _decimals(value: float | None, count: int) -> str:
    """A number with so many decimals, or a dash where there is none."""
    return DASH if value is None else f"{value:.{count}f}"


def _chance(p: float) -> str:
    """A p-value in words."""
    return f"{p:.4f}" if p >= 0.0001 else "below 0.0001"


def _shade_classes() -> str:
    """The figures' colour scale in steps of 5 %, for tables: a strict policy allows no style in elements."""
    colors = [shade(step / 20) for step in range(21)]
    return "".join(f".r{step}{{background:{fill};color:{ink}}}\n" for step, (fill, ink) in enumerate(colors))


def _colouring_classes() -> str:
    """Colours of points and their legends, of the colouring that is chosen."""
    return "".join(
        f".maps:has([value={by}]:checked) .{by[:2]}{place}{{color:var(--c{place})}}\n"
        for by in COLOURINGS
        for place in range(COLOURS + 1)
    )
