"""Show the results: figures and one page."""

import argparse
from collections.abc import Callable
from pathlib import Path

from srctrace.cli.commands import Commands

COMMANDS = Commands()


@COMMANDS.add("plot", "draw the report's figures")
def _plot(parser: argparse.ArgumentParser):
    from srctrace.report.figures import write_figures

    inputs = _add_report_inputs(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets figures/")
    return lambda arguments: write_figures(inputs(arguments), arguments.out)


@COMMANDS.add("report", "write the report: one page for a person")
def _report(parser: argparse.ArgumentParser):
    from srctrace.report.page import write_report

    inputs = _add_report_inputs(parser)
    parser.add_argument("--figures", type=Path, required=True, help="folder that `srctrace plot` wrote to")
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: write_report(inputs(arguments), arguments.figures, arguments.out)


def _add_report_inputs(parser: argparse.ArgumentParser) -> Callable:
    """Flags for all that a report shows; returns what makes them into `ReportInputs`."""
    from dataclasses import fields

    from srctrace.report.inputs import ReportInputs

    several = ("histories", "baselines", "findings", "differences", "splits", "checkpoints")
    for field in fields(ReportInputs):
        many = {"nargs": "*", "default": []} if field.name in several else {}
        parser.add_argument(
            f"--{field.name}", type=Path, required=field.name not in (*several, "speakers", "benchmarks"), **many
        )
    return lambda arguments: ReportInputs(
        **{field.name: getattr(arguments, field.name) for field in fields(ReportInputs)}
    )
