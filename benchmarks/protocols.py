"""What runs on the built-in corpus give: `python -m benchmarks.protocols NAME RESULTS`.

RESULTS is the folder that `snakemake --cores all --configfile CONFIG` wrote, with NAME `protocols` and CONFIG
`config/every-protocol.yaml`, or NAME `frontends` and CONFIG `config/ssl.yaml`. Writes `benchmarks/results/NAME.md`:
mean macro-F1 over the clean cells of each group, of the systems and of the trivial baselines; and, where there are
several systems, how their training went.
"""

import json
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from srctrace import grid, provenance
from srctrace.metrics import METRICS_COLUMNS
from srctrace.tables import read_table

RUNS = {
    "protocols": ("Every protocol on the built-in corpus", "config/every-protocol.yaml"),
    "frontends": ("SSL front-ends on the built-in corpus", "config/ssl.yaml"),
}


def main() -> None:
    name, results = sys.argv[1], Path(sys.argv[2])
    title, run = RUNS[name]
    config = json.loads((results / "config.json").read_text())
    machine = provenance.machine()
    lines = [
        f"# {title}",
        "",
        f"{machine['processor']}, {machine['cores']} cores. `{run}`, seeds {', '.join(map(str, config['seeds']))}; by "
        "`benchmarks/protocols.py`. Mean macro-F1 in % over clean cells.",
        "",
        *scores(results, config),
    ]
    if len(config["systems"]) > 1:
        lines += ["", *training(results, config)]
    (Path(__file__).parent / "results" / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def scores(results: Path, config: Mapping) -> list[str]:
    group_of = {(cell.protocol, cell.train.name, cell.test.name): cell.group for cell in grid.cells(config)}
    tables = [results / "metrics.tsv", *sorted((results / config["corpus"]["name"] / "audit").glob("*/baselines.tsv"))]
    values: dict[tuple[str, str], dict[str, list[float]]] = {(key[0], group): {} for key, group in group_of.items()}
    for row in (row for table in tables for row in read_table(table, METRICS_COLUMNS) if row["variant"] == "clean"):
        key = row["protocol"], group_of[row["protocol"], row["train"], row["test"]]
        values[key].setdefault(row["system"], []).append(float(row["macro_f1"]))
    found = {system for of in values.values() for system in of}
    systems = [*config["systems"], *sorted(found - set(config["systems"]))]
    lines = [f"| protocol | cells | {' | '.join(systems)} |", f"| --- | --- |{' ---: |' * len(systems)}"]
    for (protocol, group), of in values.items():
        means = [f"{100 * fmean(of[system]):.1f}" for system in systems]
        cells = len(of[systems[0]]) // len(config["seeds"])
        lines.append(f"| {protocol} | {cells}, {group} | {' | '.join(means)} |")
    return lines


def training(results: Path, config: Mapping) -> list[str]:
    lines = [
        "How training went, means over models. A fall: of dev macro-F1 from one epoch to the next, the largest of a "
        "run, in points.",
        "",
        "| system | models | seconds an epoch | last train loss | best dev macro-F1 | at epoch | largest fall |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for system in config["systems"]:
        runs = []
        for path in sorted((results / config["corpus"]["name"] / "models" / system).glob("*/*/history.tsv")):
            rows = read_table(path, ["dev_macro_f1", "train_loss", "seconds"])
            dev = [float(row["dev_macro_f1"]) for row in rows]
            fall = max((before - after for before, after in pairwise(dev)), default=0.0)
            seconds = fmean(float(row["seconds"]) for row in rows)
            runs.append((seconds, float(rows[-1]["train_loss"]), 100 * max(dev), 1 + dev.index(max(dev)), 100 * fall))
        seconds, loss, best, epoch, fall = (fmean(column) for column in zip(*runs, strict=True))
        lines.append(f"| {system} | {len(runs)} | {seconds:.1f} | {loss:.3f} | {best:.1f} | {epoch:.1f} | {fall:.1f} |")
    return lines


if __name__ == "__main__":
    main()
