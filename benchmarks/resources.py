"""What jobs of the workflow take, for what they ask of a cluster: `python -m benchmarks.resources RESULTS …`.

RESULTS are folders of finished runs. Writes `benchmarks/results/resources.md`: the most memory and time of a job of
each rule, from Snakemake's benchmark files; and the memory of training at the paper's sizes, for an epoch on the
features of the first folder. What rules ask for is in `workflow/rules/jobs.smk`.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from srctrace import provenance
from srctrace.grid import BACKENDS, LFCC
from srctrace.report.runtimes import duration, read_runtimes

PAPER = ["--epochs", "1", "--batch-size", "64", "--mixup", "0.5"]


def main() -> None:
    runs = [Path(name) for name in sys.argv[1:]]
    machine = provenance.machine()
    lines = ["# What jobs take", "", f"On {machine['processor']}, {machine['cores']} cores, by", "", "```"]
    lines += [
        " ".join(["python -m benchmarks.resources", *(f"RUN{number + 1}" for number in range(len(runs)))]),
        "```",
        "",
    ]
    for number, run in enumerate(runs, start=1):
        config = json.loads((run / "config.json").read_text())
        what = f"corpus {config['corpus']['name']}, {', '.join(config['systems'])}"
        lines.append(f"- RUN{number}: {what}; {len(config['seeds'])} seeds, {', '.join(config['variants'])}")
    lines.append("")
    lines += ["| rule | jobs | longest | most memory in MB |", "| --- | --- | --- | --- |"]
    jobs, longest, memory = {}, {}, {}
    for run in runs:
        names = {path.stem for path in (run / "benchmarks").rglob("*.tsv")}
        for each in read_runtimes(run / "benchmarks", names):
            jobs[each.rule] = jobs.get(each.rule, 0) + each.jobs
            longest[each.rule] = max(longest.get(each.rule, 0), each.longest)
            memory[each.rule] = max(memory.get(each.rule, 0), each.memory or 0)
    for rule in sorted(jobs):
        lines.append(f"| {rule} | {jobs[rule]} | {duration(longest[rule])} | {memory[rule]:.0f} |")
    lines += ["", "Training at the paper's sizes, in batches of 64 with mixup, on the CPU:", ""]
    lines += ["| system | most memory in MB |", "| --- | --- |"]
    lines += [f"| {LFCC}-{backend} | {train(runs[0], f'{LFCC}-{backend}'):.0f} |" for backend in BACKENDS]
    Path(__file__).with_name("results").joinpath("resources.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train(run: Path, system: str) -> float:
    """The most memory in MB of an epoch, in a process of its own."""
    config = json.loads((run / "config.json").read_text())
    corpus = run / config["corpus"]["name"]
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--features", corpus / "features" / LFCC, "--split", corpus / "splits" / "en.tsv"]
        arguments += ["--sources", corpus / "sources.tsv", "--system", system, "--device", "cpu", "--out", folder]
        arguments += [*PAPER, "--variants", *config["variants"]]
        process = subprocess.Popen([sys.executable, "-m", "srctrace", "train", *map(str, arguments)])
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"training {system} failed")
    return usage.ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
