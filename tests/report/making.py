"""Make the report on a made-up run."""

from dataclasses import dataclass
from pathlib import Path

from srctrace.report.figures import write_figures
from srctrace.report.inputs import ReportInputs
from srctrace.report.page import Origin, write_report
from tests.report.made_up_run import Size, write_run

ORIGIN = Origin({"python": "3.11.9", "torch": "2.11.0"}, {"processor": "a processor", "cores": "2"}, "0123abc+changes")


@dataclass(frozen=True)
class Report:
    """A run's tables, and the report on them."""

    inputs: ReportInputs
    figures: Path
    html: str


def make_report(folder: Path, size: Size) -> Report:
    """Write tables, figures and page of a run into `folder`."""
    inputs = write_run(folder / "run", size)
    write_figures(inputs, folder / "out")
    write_report(inputs, folder / "out", folder / "report.html", ORIGIN)
    return Report(inputs, folder / "out", (folder / "report.html").read_text(encoding="utf-8"))
