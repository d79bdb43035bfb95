"""What large corpora and large grids take: `python -m benchmarks.scale`, from an activated environment.

Scans and splits corpora of up to 1 000 000 utterances, plans a grid of 2 400 models and 96 000 cells, decodes 10 000
files. Writes `benchmarks/results/scale.md`.
"""

import tempfile
from pathlib import Path

from benchmarks.scale.decode import decode
from benchmarks.scale.plan import plan
from benchmarks.scale.scan import scan
from srctrace import provenance

RESULTS = Path(__file__).parents[1] / "results" / "scale.md"


def main() -> None:
    machine = provenance.machine()
    lines = ["# Large corpora and large grids", ""]
    lines += [f"{machine['processor']}, {machine['cores']} cores. By `python -m benchmarks.scale`."]
    for part in (scan, plan, decode):
        with tempfile.TemporaryDirectory() as folder:
            lines += ["", *part(Path(folder))]
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
