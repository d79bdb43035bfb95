"""Unknown sources on the built-in corpus: `python -m benchmarks.open_set RESULTS`.

RESULTS is the folder that `snakemake --cores all --configfile config/open-set.yaml` wrote. Writes
`benchmarks/results/open-set.md`: how well each method sees unknown sources after each way of training, what the
threshold gives, calibration, and new sources enrolled from few utterances; means over models and test languages, within
the training language and across.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from srctrace import calibration, fewshot, metrics, provenance
from srctrace.openset import detectors
from srctrace.openset.table import OPENSET_COLUMNS
from srctrace.tables import read_table

PLACES = ("mono", "cross")
Row = dict[str, str]


def main() -> None:
    results = Path(sys.argv[1])
    config = json.loads((results / "config.json").read_text())
    systems = config["systems"]
    openset = read_table(results / "openset.tsv", OPENSET_COLUMNS)
    machine = provenance.machine()
    lines = [
        "# Unknown sources on the built-in corpus",
        "",
        f"{machine['processor']}, {machine['cores']} cores. `config/open-set.yaml`, seeds "
        f"{', '.join(map(str, config['seeds']))}; by `benchmarks/open_set.py`. Means over models and test languages: "
        "within the training language / across languages. The out-of-set sources are "
        f"{', '.join(config['corpus']['out_of_set'])}; `+aam` is trained with an angular margin, `+outliers` "
        "by outlier exposure.",
        "",
        "## Known sources: macro-F1 in %, clean",
        "",
        *known(results, systems),
        "",
        "## AUROC of known against unknown sources in %",
        "",
        "The mean over the unknown sources, each by itself. Chance is 50. `chosen`: by rotation, the method that does "
        "best on half of the unknown sources, measured on the others.",
        "",
        *by_method(openset, systems),
        "",
        f"Each source, by `{detectors.DEFAULT}` (the default) and by `energy`:",
        "",
        *by_source(openset, systems, config["corpus"]["out_of_set"]),
        "",
        "## At the threshold",
        "",
        "It accepts 95 % of dev, which is of the training language. In %: known utterances refused, unknown ones "
        "accepted, and open accuracy, the mean of known utterances accepted with the right source and unknown ones "
        "refused.",
        "",
        *at_threshold(openset, systems),
        "",
        "## Calibration",
        "",
        "Temperature by dev, and what it does to clean trials: negative log-likelihood and expected calibration error "
        "in %, before → after.",
        "",
        *calibrated(results, systems),
        "",
        "## New sources from few utterances",
        "",
        "Accuracy in %: the mean of how many utterances of the enrolled source are given to it, and how many of known "
        "sources to theirs.",
        "",
        *few(results, systems),
    ]
    (Path(__file__).parent / "results" / "open-set.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def known(results: Path, systems: Sequence[str]) -> list[str]:
    rows = [row for row in read_table(results / "metrics.tsv", metrics.METRICS_COLUMNS) if row["variant"] == "clean"]
    return one_line_each(systems, rows, {"macro-F1": percent("macro_f1")})


def by_method(openset: Sequence[Row], systems: Sequence[str]) -> list[str]:
    single = [row for row in openset if row["unknown"] != "all"]
    return [
        f"| system | {' | '.join((*detectors.METHODS, 'chosen'))} |",
        f"| --- |{' ---: |' * (len(detectors.METHODS) + 1)}",
        *(
            f"| {system} | "
            + " | ".join(
                both([row for row in single if (row["system"], row["method"]) == (system, method)], percent("auroc"))
                for method in (*detectors.METHODS, "chosen")
            )
            + " |"
            for system in systems
        ),
    ]


def by_source(openset: Sequence[Row], systems: Sequence[str], unknown: Sequence[str]) -> list[str]:
    lines = [f"| system | method | {' | '.join(unknown)} |", f"| --- | --- |{' ---: |' * len(unknown)}"]
    for system in systems:
        for method in (detectors.DEFAULT, "energy"):
            own = [row for row in openset if (row["system"], row["method"]) == (system, method)]
            cells = (both([row for row in own if row["unknown"] == name], percent("auroc")) for name in unknown)
            lines.append(f"| {system} | {method} | {' | '.join(cells)} |")
    return lines


def at_threshold(openset: Sequence[Row], systems: Sequence[str]) -> list[str]:
    rows = [row for row in openset if (row["method"], row["unknown"]) == (detectors.DEFAULT, "all")]
    columns = ("false_rejection", "false_acceptance", "open_accuracy")
    return one_line_each(systems, rows, {name.replace("_", " "): percent(name) for name in columns})


def calibrated(results: Path, systems: Sequence[str]) -> list[str]:
    rows = [
        row
        for row in read_table(results / "calibration.tsv", calibration.CALIBRATION_COLUMNS)
        if row["variant"] == "clean"
    ]
    lines = ["| system | temperature | NLL, mono | NLL, cross | ECE, mono | ECE, cross |", "| --- |" + " ---: |" * 5]
    for system in systems:
        own = [row for row in rows if row["system"] == system]
        cells = [f"{fmean(float(row['temperature']) for row in own):.2f}"]
        for name, scale, digits in (("nll", 1, 2), ("ece", 100, 1)):
            for place in PLACES:
                values = [
                    scale * fmean(float(row[f"{name}_{stage}"]) for row in own if place_of(row) == place)
                    for stage in ("before", "after")
                ]
                cells.append(" → ".join(f"{value:.{digits}f}" for value in values))
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return lines


def few(results: Path, systems: Sequence[str]) -> list[str]:
    rows = read_table(results / "fewshot.tsv", fewshot.COLUMNS)
    shots = sorted({int(row["shots"]) for row in rows})
    lines = [f"| system | {' | '.join(map(str, shots))} |", f"| --- |{' ---: |' * len(shots)}"]
    for system in systems:
        own = [row for row in rows if row["system"] == system]
        cells = (both([row for row in own if int(row["shots"]) == count], percent("accuracy")) for count in shots)
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return lines


def one_line_each(systems: Sequence[str], rows: Sequence[Row], columns: dict[str, Callable]) -> list[str]:
    lines = [f"| system | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    for system in systems:
        own = [row for row in rows if row["system"] == system]
        lines.append(f"| {system} | {' | '.join(both(own, value) for value in columns.values())} |")
    return lines


def both(rows: Sequence[Row], value: Callable[[Row], float]) -> str:
    """The means of both places; conditions are languages here."""
    found = defaultdict(list)
    for row in rows:
        found[place_of(row)].append(value(row))
    return " / ".join(f"{fmean(found[place]):.1f}" if found[place] else "-" for place in PLACES)


def place_of(row: Row) -> str:
    return PLACES[row["train"] != row["test"]]


def percent(column: str) -> Callable[[Row], float]:
    return lambda row: 100 * float(row[column])


if __name__ == "__main__":
    main()
