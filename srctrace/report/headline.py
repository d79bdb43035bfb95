"""What the tables of one protocol say in a few sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from srctrace.report.canvas import percent
from srctrace.report.cells import Cell, group, mean, pick

CROSSING = {
    "mono": "when train and test language differ",
    "family": "when train and test family differ",
    "unseen-language": "on the language left out",
}
"""Protocols of two groups of cells, where the second is harder than the first by design: by what."""

FAMILIES = {"en": "Germanic", "de": "Germanic", "fr": "Romance", "it": "Romance", "pl": "Slavic", "ru": "Slavic"}


@dataclass(frozen=True)
class Line:
    """One system, or trivial baseline, in the summary table."""

    name: str
    baseline: bool
    means: Mapping[str, float]  # group of cells to mean macro-F1
    drop: float | None  # from the first group of cells to the second, where the protocol is about that
    worst: Cell


@dataclass(frozen=True)
class Statement:
    """Something one would like to know of every run, and whether it holds."""

    verdict: str  # `holds` or `does not hold`
    text: str


@dataclass(frozen=True)
class Tile:
    """One figure with few words."""

    label: str
    value: str
    words: str


def summary_line(name: str, cells: Sequence[Cell], baseline: bool = False) -> Line:
    """A system's means over its clean cells."""
    found = group(cells)
    means = {name: mean(members) for name, members in found.items()}
    paired = cells[0].protocol in CROSSING and len(means) == 2
    ends = list(means.values())
    return Line(
        name, baseline, means, ends[0] - ends[1] if paired else None, min(cells, key=lambda cell: cell.macro_f1)
    )


def tiles(lines: Sequence[Line], cells: Sequence[Cell]) -> list[Tile]:
    """The few figures to remember, from the clean cells of all systems."""
    systems = [line for line in lines if not line.baseline]
    names = list(dict.fromkeys(name for line in systems for name in line.means))
    found = []
    for name in names[:2]:
        ranked = sorted((line for line in systems if name in line.means), key=lambda line: -line.means[name])
        words = ranked[0].name
        if len(ranked) > 1:
            lead = ranked[0].means[name] - ranked[1].means[name]
            words += f", {points(lead)} points ahead of {ranked[1].name}"
        found.append(Tile(f"Best {name}" if names != ["all cells"] else "Best", percent(ranked[0].means[name]), words))
    drops = [line for line in systems if line.drop is not None]
    if drops:
        drop = fmean(line.drop for line in drops)
        ends = [percent(fmean(line.means[name] for line in drops)) for name in names[:2]]
        words = f"points, mean over systems: {ends[0]} {names[0]}, {ends[1]} {names[1]}"
        found.append(Tile("Cost of crossing", points(drop), words))
    pair = hardest_pair(cells)
    if pair and len({(cell.train, cell.test) for cell in cells}) > 1:
        (train, test), value = pair
        over = f", mean of {len(systems)} systems" if len(systems) > 1 else ""
        found.append(Tile("Hardest pair", percent(value), f"trained on {train}, tested on {test}{over}"))
    return found


def hardest_pair(cells: Sequence[Cell]) -> tuple[tuple[str, str], float] | None:
    """The (train, test) pair with the lowest macro-F1, mean over systems; train ≠ test, where there is such a cell."""
    others = [cell for cell in cells if cell.train != cell.test] or list(cells)
    values: dict[tuple[str, str], list[float]] = {}
    for cell in others:
        values.setdefault((cell.train, cell.test), []).append(cell.macro_f1)
    means = {pair: fmean(found) for pair, found in values.items()}
    return min(means.items(), key=lambda item: item[1]) if means else None


def statements(
    cells: Sequence[Cell], lines: Sequence[Line], chance: float | None, findings: Sequence[Mapping[str, str]]
) -> list[Statement]:
    """What a sound run should satisfy, from the clean cells of all systems."""
    found = []
    systems = [line for line in lines if not line.baseline]
    bounded = [cell for cell in cells if cell.low is not None]
    if chance is not None and bounded:
        at_chance = [cell for cell in bounded if cell.low <= chance]
        text = f"Every clean cell is above chance ({percent(chance)}) with its whole interval"
        text += f": {len(bounded) - len(at_chance)} of {len(bounded)} cells are" if at_chance else ""
        found.append(_statement(not at_chance, text))
    for name in dict.fromkeys(name for line in systems for name in line.means):
        trivial = [line for line in lines if line.baseline and name in line.means]
        if trivial:
            best = max(trivial, key=lambda line: line.means[name])
            behind = [line.name for line in systems if line.means.get(name, 1.0) <= best.means[name]]
            text = f"Every system beats the best trivial baseline, {name} ({best.name}, {percent(best.means[name])})"
            found.append(_statement(not behind, text + (f": not {', '.join(behind)}" if behind else "")))
    drops = [line for line in systems if line.drop is not None]
    if drops:
        gains = [line.name for line in drops if line.drop <= 0]
        text = f"Every system loses {CROSSING[cells[0].protocol]}"
        least = min(drops, key=lambda line: line.drop)
        words = f": not {', '.join(gains)}" if gains else f", by {points(least.drop)} points or more"
        found.append(_statement(not gains, text + words))
    if findings:
        warnings = [row["check"] for row in findings if row["level"] == "warning"]
        text = "The audit gives no warning" + (f": it gives {len(warnings)}" if warnings else "")
        found.append(_statement(not warnings, text))
    return found


def paper_statements(cells: Sequence[Cell], lines: Sequence[Line]) -> list[Statement]:
    """The paper's findings, where this run has what they are about: clean cells of protocol `mono` on real corpora."""
    same, other = "mono-lingual", "cross-lingual"
    systems = [line for line in lines if not line.baseline and same in line.means and other in line.means]
    ssl = {line.name for line in systems if not line.name.startswith("lfcc-")}
    found = []
    if ssl and len(ssl) < len(systems):
        best = max(systems, key=lambda line: line.means[same])
        text = f"The best system {same} is on an SSL front-end ({best.name}, {percent(best.means[same])})"
        found.append(_statement(best.name in ssl, text))
    if len(systems) > 1 and any(line.name == "lfcc-ecapa-tdnn" for line in systems):
        best = max(systems, key=lambda line: line.means[other])
        text = f"lfcc-ecapa-tdnn is the best system {other} (the best: {best.name}, {percent(best.means[other])})"
        found.append(_statement(best.name == "lfcc-ecapa-tdnn", text))
    crossed = [cell for cell in cells if cell.train != cell.test and {cell.train, cell.test} <= FAMILIES.keys()]
    within = mean([cell for cell in crossed if FAMILIES[cell.train] == FAMILIES[cell.test]])
    across = mean([cell for cell in crossed if FAMILIES[cell.train] != FAMILIES[cell.test]])
    if within is not None and across is not None:
        text = "Crossing within a language family costs less than across families"
        found.append(_statement(within > across, f"{text} ({percent(within)} within, {percent(across)} across)"))
    return found


def mean_half_width(cells: Sequence[Cell]) -> float | None:
    """Half the width of a cell's interval, on average."""
    widths = [(cell.high - cell.low) / 2 for cell in cells if cell.low is not None and cell.high is not None]
    return fmean(widths) if widths else None


def points(difference: float) -> str:
    """A difference of two rates in percentage points."""
    return f"{round(100 * difference, 1) + 0.0:.1f}".replace("-", "\N{MINUS SIGN}")  # no minus before a zero


def seed_table(cells: Sequence[Cell], systems: Sequence[str]) -> list[dict]:
    """Means over the clean cells of each group, seed by seed, for systems that have several."""
    rows = []
    for system in systems:
        for name, members in group(pick(cells, system=system)).items():
            by_seed: dict[str, list[float]] = {}
            for cell in members:
                for seed, value in cell.by_seed:
                    by_seed.setdefault(seed, []).append(value)
            means = {seed: fmean(values) for seed, values in by_seed.items()}
            deviations = [cell.sd for cell in members if cell.sd is not None]
            rows.append({"system": system, "group": name, "means": means, "deviations": deviations})
    return rows


def _statement(holds: bool, text: str) -> Statement:
    return Statement("holds" if holds else "does not hold", text + ".")
