"""What every protocol gives on the built-in corpus: `python -m benchmarks.protocols RESULTS`.

RESULTS is the folder that `snakemake --cores all --configfile config/every-protocol.yaml` wrote. Writes
`benchmarks/results/protocols.md`: mean macro-F1 over the clean cells of each group, of the systems and of the trivial
baselines.
"""

import json
import sys
from pathlib import Path
from statistics import fmean

from srctrace import grid, provenance
from srctrace.metrics import METRICS_COLUMNS
from srctrace.tables import read_table

OUT = Path(__file__).parent / "results" / "protocols.md"


def main() -> None:
    results = Path(sys.argv[1])
    config = json.loads((results / "config.json").read_text())
    group_of = {(cell.protocol, cell.train.name, cell.test.name): cell.group for cell in grid.cells(config)}
    tables = [results / "metrics.tsv", *sorted((results / config["corpus"]["name"] / "audit").glob("*/baselines.tsv"))]
    values: dict[tuple[str, str], dict[str, list[float]]] = {(key[0], group): {} for key, group in group_of.items()}
    for row in (row for table in tables for row in read_table(table, METRICS_COLUMNS) if row["variant"] == "clean"):
        key = row["protocol"], group_of[row["protocol"], row["train"], row["test"]]
        values[key].setdefault(row["system"], []).append(float(row["macro_f1"]))
    systems = list(dict.fromkeys(system for found in values.values() for system in found))
    machine = provenance.machine()
    lines = [
        "# Every protocol on the built-in corpus",
        "",
        f"{machine['processor']}, {machine['cores']} cores. `config/every-protocol.yaml`, seeds "
        f"{', '.join(map(str, config['seeds']))}; by `benchmarks/protocols.py`. Mean macro-F1 in % over clean cells.",
        "",
        f"| protocol | cells | {' | '.join(systems)} |",
        f"| --- | --- |{' ---: |' * len(systems)}",
    ]
    for (protocol, group), found in values.items():
        means = [f"{100 * fmean(found[system]):.1f}" for system in systems]
        lines.append(
            f"| {protocol} | {len(found[systems[0]]) // len(config['seeds'])}, {group} | {' | '.join(means)} |"
        )
    OUT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
