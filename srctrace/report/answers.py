"""What was found, in a few sentences, each with its numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from srctrace import grid
from srctrace.report import headline
from srctrace.report.calibration import calibration_table
from srctrace.report.canvas import DASH, percent
from srctrace.report.cells import Cell, group, mean, pick
from srctrace.report.fewshot import fewshot_table
from srctrace.report.inputs import ReportData
from srctrace.report.openset import by_method, by_unknown, leading_method


@dataclass(frozen=True)
class Answer:
    """A question, and what the run says."""

    question: str
    text: str


def answers(data: ReportData) -> list[Answer]:
    """To the questions of a reader who has a minute; those that the run has nothing on are left out."""
    protocol = data.protocols[0]
    clean = pick(data.cells, protocol=protocol, variant="clean")
    names = list(dict.fromkeys(cell.group for cell in clean))
    found = [Answer(f"Which system is best, {name}?", _best(data, clean, name)) for name in names[:2]]
    found += _unknown(data)
    found += _calibrated(data, protocol)
    found += _enrolled(data)
    return [Answer(answer.question, answer.text.replace(" %", "\N{NO-BREAK SPACE}%")) for answer in found]


def _best(data: ReportData, clean: Sequence[Cell], name: str) -> str:
    by_system = {
        system: own
        for system in data.systems(clean[0].protocol)
        if (own := group(pick(clean, system=system)).get(name))
    }
    ranked = sorted(by_system, key=lambda system: -mean(by_system[system]))
    best = by_system[ranked[0]]
    text = f"{ranked[0]}: {percent(mean(best))} % macro-F1{_bounds(best)}"
    if len(ranked) == 1:
        return text + "."
    second = ranked[1]
    lead = headline.points(mean(best) - mean(by_system[second]))
    text += f", {lead} points ahead of {second} at {percent(mean(by_system[second]))} %{_bounds(by_system[second])}. "
    tests = data.differences.get(clean[0].protocol, [])
    test = next((row for row in tests if _is(row, name, ranked[:2])), None)
    if test is None:
        return text + "With fewer than three seeds, whether that is more than luck is not tested."
    sign = 1 if test["system_a"] == ranked[0] else -1
    ends = sorted(sign * float(test[end]) for end in ("low", "high"))
    verdict = "more than luck" if float(test["p_holm"]) < 0.05 else "no more than luck may do"
    between = " to ".join(headline.points(end) for end in ends)
    return text + f"The lead's 95 % interval is {between} points, which is {verdict}."


def _is(row: Mapping[str, str], name: str, systems: Sequence[str]) -> bool:
    return row["group"] == name and row["variant"] == "clean" and {row["system_a"], row["system_b"]} == set(systems)


def _bounds(cells: Sequence[Cell]) -> str:
    """The means of the bounds of cells."""
    if any(cell.low is None or cell.high is None for cell in cells):
        return ""
    low, high = (fmean(getattr(cell, end) for cell in cells) for end in ("low", "high"))
    return f" ({percent(low)}{DASH}{percent(high)})"


def _unknown(data: ReportData) -> list[Answer]:
    if not data.openset:
        return []
    method = leading_method(data)
    lines = [line for line in by_method(data) if line.name == method]
    parts = []
    for kind in ("mono-lingual", "cross-lingual"):
        rated = [(line.system, line.rates[kind]) for line in lines if kind in line.rates]
        rated = [(system, rates) for system, rates in rated if None not in rates.values()]
        if rated:
            system, rates = max(rated, key=lambda pair: pair[1]["auroc"])
            parts.append(
                f"{kind}, {system} is best: it sees {percent(1 - rates['false_acceptance'])} % of the trials of "
                f"unknown sources, and rejects {percent(rates['false_rejection'])} % of the known ones for it (AUROC "
                f"{percent(rates['auroc'])} %, {percent(rates['auroc_low'])}{DASH}{percent(rates['auroc_high'])})"
            )
    if not parts:
        return []
    if has_real_speech(data):
        rates = [line.rates.values() for line in by_unknown(data) if line.name == grid.BONA_FIDE]
        seen = fmean(1 - rate["false_acceptance"] for found in rates for rate in found)
        parts.append(f"of real speech, {percent(seen)} % of the trials are called unknown, mean over systems")
    text = "; ".join(parts)
    return [Answer("Is an unknown source noticed?", f"{text[0].upper()}{text[1:]}. Guessing gives an AUROC of 50 %.")]


def _calibrated(data: ReportData, protocol: str) -> list[Answer]:
    lines = calibration_table(data, protocol)
    parts = []
    for name in dict.fromkeys(line.group for line in lines):
        rates = [line.rates for line in lines if line.group == name and line.rates["ece_after"] is not None]
        if rates:
            before, after = (fmean(rate[f"ece_{when}"] for rate in rates) for when in ("before", "after"))
            parts.append(f"{headline.points(before)} to {headline.points(after)} points {name}")
    if not parts:
        return []
    text = "Temperature scaling on the dev list of the training language takes the mean gap between confidence and "
    return [Answer("Can a probability be believed?", f"{text}accuracy from {', and from '.join(parts)}.")]


def _enrolled(data: ReportData) -> list[Answer]:
    parts = []
    lines = fewshot_table(data)
    for kind in ("mono-lingual", "cross-lingual"):
        found = [line for line in lines if line.crossing == kind]
        if found:
            most = max(found[0].shots)
            rated = [(line.system, line.shots[most]["recall"]) for line in found if most in line.shots]
            rated = [(system, value) for system, value in rated if value is not None]
            if rated:
                system, value = max(rated, key=lambda pair: pair[1])
                parts.append(f"{percent(value)} % {kind} ({system})")
    if not parts:
        return []
    text = (
        f"With {most} utterances of an unknown source enrolled, its other trials are given to it in {', '.join(parts)}."
    )
    return [Answer("Can a new source be learnt from a few utterances?", text)]


def has_real_speech(data: ReportData) -> bool:
    """Whether real speech was tested, as an unknown source."""
    return any(row["unknown"] == grid.BONA_FIDE for row in data.openset)
