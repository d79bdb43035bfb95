"""Trace audio of one's own to its source, and enrol new sources."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from srctrace.cli.arguments import add_device
from srctrace.cli.commands import Commands
from srctrace.errors import UserError

COMMANDS = Commands()

MANY = 20  # files, from which on there is a progress bar
PICTURES = (".png", ".svg", ".pdf")
SOME_UNREAD = 1  # exit status


@COMMANDS.add("trace", "which synthesiser made this audio: files, folders, or - for standard input")
def _trace(parser: argparse.ArgumentParser):
    _add_audio(parser, "of a trained model, or OWNER/NAME[@REVISION] of the hub; of several, the mean")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON Lines: an object for each file")
    form.add_argument("--tsv", action="store_true", help="a row for each file, a column for each source")
    parser.add_argument("--plot", type=_picture, metavar="FILE", help="picture of one file (.png, .svg or .pdf)")

    def run(arguments: argparse.Namespace) -> int:
        from srctrace.sharing import resolve
        from srctrace.tracing import Tracer, output
        from srctrace.tracing.segments import find_audio, is_stream

        files = find_audio(arguments.files)
        if arguments.plot and (len(files) != 1 or is_stream(files[0])):  # the picture reads it once more
            raise UserError(f"--plot: give one file, and neither standard input nor a pipe; here are {len(files)}")
        tracer = Tracer.load([resolve(model) for model in arguments.model], arguments.device, arguments.threads)
        traces = _Reported(tracer.trace(files), len(files))
        if arguments.json:
            lines = output.json_lines(traces, tracer.basis)
        elif arguments.tsv:
            lines = output.tsv(traces, tracer.sources)
        else:
            lines = output.table(traces, files, [*tracer.sources, *tracer.enrolled], tracer.basis)
        for line in lines:
            print(line, flush=True)
        if arguments.plot and traces.last and not traces.last.error:
            from srctrace.tracing.plot import plot

            plot(traces.last, tracer.members[0], arguments.plot)
        return SOME_UNREAD if traces.unread else 0

    return run


@COMMANDS.add("enrol", "have models know a new source from a few utterances")
def _enrol(parser: argparse.ArgumentParser):
    parser.add_argument("name", metavar="NAME", help="of the source: letters, digits, dots, dashes and underscores")
    _add_audio(parser, "of a trained model; or of several")
    parser.add_argument("--replace", action="store_true", help="in place of what was enrolled by that name")

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.sharing.contents import require_model
        from srctrace.tracing.enrolled import enrol

        for model in map(Path, arguments.model):
            if not model.exists():
                raise UserError(
                    f"{model}: no such folder: a source is enrolled beside a model, in folders only; of one on the "
                    "hub, have a copy: hf download OWNER/NAME --local-dir FOLDER"
                )
            require_model(model)
        flags = arguments.replace, arguments.device, arguments.threads
        count = enrol(arguments.name, arguments.files, arguments.model, *flags)
        print(f"{arguments.name}: enrolled from {count} segment{'s' if count > 1 else ''}")

    return run


def _add_audio(parser: argparse.ArgumentParser, models: str) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio of any format, rate and length; or a folder")
    parser.add_argument("--model", nargs="+", required=True, metavar="DIR", help=models)
    add_device(parser)
    parser.set_defaults(threads=None)  # all cores that there are


def _picture(text: str) -> Path:
    if not text.endswith(PICTURES):
        raise argparse.ArgumentTypeError(f"{text} does not end in {', '.join(PICTURES)}")
    return Path(text)


class _Reported:
    """Traces, with a progress bar; what could not be read is told on standard error."""

    def __init__(self, traces: Iterable, count: int):
        self.traces, self.count = traces, count
        self.unread = 0
        self.last = None

    def __iter__(self) -> Iterator:
        import sys

        from tqdm import tqdm

        from srctrace.tracing.text import shown

        # Where the lines themselves go to the terminal, they are the progress.
        hidden = self.count < MANY or not sys.stderr.isatty() or sys.stdout.isatty()
        for trace in tqdm(self.traces, total=self.count, desc="trace", unit="file", disable=hidden, mininterval=1):
            if trace.error:
                self.unread += 1
                tqdm.write(f"srctrace trace: {shown(trace.error)}", file=sys.stderr)
            self.last = trace
            yield trace
