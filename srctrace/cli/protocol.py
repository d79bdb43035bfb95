"""Say who is in train, dev and eval, and in each condition."""

import argparse
from pathlib import Path

from srctrace.cli.commands import Commands
from srctrace.options import add_flags, from_flags

COMMANDS = Commands()


@COMMANDS.add("split", "say who is in train, dev and eval; refuse leaks")
def _split(parser: argparse.ArgumentParser):
    from srctrace.protocol import COLUMNS, SplitOptions, assign, refuse_leaks

    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--waves", type=Path, nargs="+", required=True, help="indices of decoded audio")
    parser.add_argument("--sources", type=Path, required=True, help="the label map")
    parser.add_argument("--out", type=Path, required=True)
    add_flags(parser, SplitOptions)

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.manifest import read_manifest, read_sources
        from srctrace.tables import read_table, write_table

        sources, out_of_set = read_sources(arguments.sources)
        options = from_flags(SplitOptions, arguments)
        rows = assign(read_manifest(arguments.manifest), sources, options, out_of_set)
        digests = {
            row["utterance"]: row["digest"]
            for path in arguments.waves
            for row in read_table(path, ["utterance", "digest"])
        }
        if options.origin == "dealt":
            refuse_leaks(rows, str(arguments.manifest), digests)
        write_table(arguments.out, COLUMNS, rows)

    return run


@COMMANDS.add("list-conditions", "write the split list of each condition")
def _list_conditions(parser: argparse.ArgumentParser):
    from srctrace.grid import Condition
    from srctrace.protocol import read_split, write_conditions

    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument(
        "--conditions",
        nargs="+",
        required=True,
        metavar="CONDITION",
        help="NAME=LANGUAGE,… and perhaps :seen-by=LANGUAGE,…, :unseen-by=LANGUAGE,… or :out-of-set",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder that gets NAME.tsv")

    def run(arguments: argparse.Namespace) -> None:
        conditions = [Condition.parse(text) for text in arguments.conditions]
        write_conditions(read_split(arguments.split), conditions, arguments.out)

    return run
