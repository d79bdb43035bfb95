"""Say how a run stands."""

import argparse
from pathlib import Path

from srctrace.cli.commands import Commands

COMMANDS = Commands()


@COMMANDS.add("status", "how a run stands: what is done, under way and waiting, and what failed and why")
def _status(parser: argparse.ArgumentParser):
    from srctrace.status import report

    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="the run's working directory")
    return lambda arguments: print("\n".join(report(arguments.folder)))
