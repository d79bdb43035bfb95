"""The command line: `srctrace COMMAND …`, one subcommand per step of the workflow, in a file per stage.

Thin: parse, call, exit status. 0 is success, 2 is something wrong that the user can mend (one message, no traceback); a
command that returns a number has a status of its own: `trace` 1, where some files could not be read.
Modules are imported by the command that needs them, so that a step without torch runs without torch.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from srctrace import __version__
from srctrace.cli import data, evaluate, frontends, models, preprocess, protocol, report, serve, share, status, trace
from srctrace.errors import UserError

# As the workflow goes.
STAGES = (data, preprocess, protocol, frontends, models, evaluate, report, share, status, trace, serve)
COMMANDS = {name: command for stage in STAGES for name, command in stage.COMMANDS.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="srctrace", description="Source tracing of speech deepfakes.")
    parser.add_argument("--version", action="version", version=f"srctrace {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (summary, define) in COMMANDS.items():
        subparser = commands.add_parser(name, help=summary, description=summary)
        if argv[:1] == [name]:  # the others' modules are not needed
            subparser.set_defaults(run=define(subparser))
    arguments = parser.parse_args(argv)
    try:
        _check_code()
        return arguments.run(arguments) or 0
    except UserError as error:
        print(f"srctrace {argv[0]}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads, as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        disk = _disk_error(error)
        if disk is None:
            raise
        where = f" while writing {disk.filename}" if disk.filename else ""
        print(f"srctrace {argv[0]}: {disk.strerror}{where}: nothing half-written was kept; run again", file=sys.stderr)
        return 2


def _check_code() -> None:
    """Refuse to be other code than the workflow's, where it runs in a container and says what it expects."""
    expected = os.environ.get("SRCTRACE_CODE")
    if not expected:
        return
    from srctrace.provenance import code_digest

    found = code_digest()
    if found != expected:
        raise UserError(
            f"this container image holds other code ({__version__}, {found}) than the workflow's ({expected}): build "
            "it again with `make containers`, or check out the version that the image is of"
        )


def _disk_error(error: BaseException | None) -> OSError | None:
    """The full, forbidden or read-only disk behind an error, if there is one: libraries wrap it in errors of theirs."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            return error
        error = error.__cause__ or error.__context__
    return None
