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


@COMMANDS.add("illustrate", "choose trials to be heard in the report, and lay embeddings out in a plane")
def _illustrate(parser: argparse.ArgumentParser):
    from srctrace.report.examples import write_examples
    from srctrace.report.inputs import read_json
    from srctrace.report.projection import write_projection

    parser.add_argument("--config", type=Path, required=True, help="the run's complete config (JSON)")
    parser.add_argument("--results", type=Path, required=True, help="the corpus's folder: models/ and waves/")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets examples.json and projection.json")

    def run(arguments: argparse.Namespace) -> None:
        config = read_json(arguments.config)
        write_examples(config, arguments.results, arguments.manifest, arguments.out / "examples.json")
        write_projection(config, arguments.results, arguments.out / "projection.json")

    return run


def _add_report_inputs(parser: argparse.ArgumentParser) -> Callable:
    """Flags for all that a report shows; returns what makes them into `ReportInputs`."""
    from dataclasses import MISSING, fields

    from srctrace.report.inputs import ReportInputs

    for field in fields(ReportInputs):
        many = {"nargs": "*"} if field.default == () else {}
        default = {"required": True} if field.default is MISSING else {"default": field.default}
        parser.add_argument(f"--{field.name}", type=Path, **default, **many)
    return lambda arguments: ReportInputs(
        **{field.name: getattr(arguments, field.name) for field in fields(ReportInputs)}
    )
