"""A page on this machine to drop a file to, which is traced."""

import argparse
from importlib.util import find_spec
from pathlib import Path

from srctrace.cli.commands import Commands
from srctrace.errors import UserError
from srctrace.options import at_least

COMMANDS = Commands()

REPORT = Path("results/report.html")
NEEDED = ("starlette", "uvicorn", "python_multipart")  # the extra `serve`
PORTS = 1 << 16


@COMMANDS.add("serve", "the report, and a page to drop a file to: it is traced; see docs/serving.md")
def _serve(parser: argparse.ArgumentParser):
    parser.add_argument("--report", type=Path, help=f"what `srctrace report` wrote; {REPORT}, if it is there")
    parser.add_argument(
        "--model",
        nargs="+",
        required=True,
        metavar="DIR",
        help="of a trained model, or OWNER/NAME; of several, the mean",
    )
    parser.add_argument("--port", type=_port, default=8000, help="of 127.0.0.1; 0: one that is free")
    parser.add_argument("--max-megabytes", type=at_least(float, 0.001), default=50.0, help="largest file")
    parser.add_argument("--max-minutes", type=at_least(float, 0.001), default=30.0, help="longest file")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")

    def run(arguments: argparse.Namespace) -> None:
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise UserError(f"needs what is not installed ({', '.join(missing)}): pip install 'srctrace[serve]'")
        if arguments.report and not arguments.report.is_file():
            raise UserError(f"{arguments.report}: no such file: the workflow writes it (snakemake --cores all)")
        from srctrace.serving.server import serve
        from srctrace.serving.upload import Limits
        from srctrace.sharing import resolve

        report = arguments.report or (REPORT if REPORT.is_file() else None)
        limits = Limits(arguments.max_megabytes, arguments.max_minutes)
        serve([resolve(model) for model in arguments.model], report, limits, arguments.port, arguments.device)

    return run


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < PORTS:
        raise argparse.ArgumentTypeError(f"{text} is not a port: from 0 to {PORTS - 1}")
    return port


_port.__name__ = "port"  # argparse names it where the text is no number at all
