"""Traces as text: a table for people, JSON Lines and TSV for programs. Each is written as the traces come."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from srctrace.tables import as_text
from srctrace.tracing.basis import basis_lines
from srctrace.tracing.result import ENROLLED, UNKNOWN, Stretch, Trace, runs
from srctrace.tracing.text import clock, shown

WIDEST = 100  # letters that the table has for a file's name; a longer one shifts the rest of its line
LISTED = 20  # stretches of a file that differ from it
RANKED = 5  # sources that are listed of a file that is alone


def table(traces: Iterable[Trace], files: Sequence[str], sources: Sequence[str], basis: dict) -> Iterator[str]:
    """Lines for people: one for each file, below it the segments that differ from it, and at the end the basis.

    A source in brackets is the nearest known one of what is not a known source. Of a file that is alone, the ranking is
    listed too. Files that could not be read are left out.

    Args:
        files: that will be traced: the first column is as wide as they need.
        sources: known and enrolled: the third column.
    """
    width = min(WIDEST, max(4, *(len(shown(file)) for file in files)))
    names = 2 + max(6, *(len(source) for source in sources))
    yield f"{'file':{width}}  {'verdict':15}  {'source':{names}}  {'probability':>11}  score"
    for trace in traces:
        if trace.error:
            continue
        row = f"{shown(trace.file):{width}}  {trace.verdict or '-':15}  {_named(trace):{names}}"
        yield f"{row}  {_probability(trace):>11}  {_against_threshold(trace)}".rstrip()
        yield from _segments(trace)
        if len(files) == 1:
            yield from _ranking(trace)
    yield from basis_lines(basis)


def json_lines(traces: Iterable[Trace], basis: dict) -> Iterator[str]:
    """One JSON object on a line for each file: the fields of `Trace`, and `basis`, see `basis.basis_of`.

    Of a file that could not be read, `error` says why, and nothing is found.
    """
    for trace in traces:
        fields = asdict(trace) | {"ranking": [{"source": name, "probability": value} for name, value in trace.ranking]}
        yield json.dumps(fields | {"basis": basis}, allow_nan=False)


COLUMNS = ("file", "verdict", "source", "probability", "score", "threshold", "seconds", "segments", "disagreeing")


def tsv(traces: Iterable[Trace], sources: Sequence[str]) -> Iterator[str]:
    """A header, and one row for each file: `COLUMNS`, `p_{source}` of each known source, and `error`.

    What there is not is left empty: the probability of an enrolled source; score and threshold without a decision; all
    but the error of a file that could not be read.
    """
    yield "\t".join([*COLUMNS, *(f"p_{source}" for source in sources), "error"])
    for trace in traces:
        found = dict(trace.ranking)
        if trace.error:
            fields = [trace.file, *[None] * (len(COLUMNS) - 1)]
        else:
            counts = len(trace.segments), len(trace.disagreeing)
            fields = [*(getattr(trace, column) for column in COLUMNS[:7]), *counts]
        fields += [*(found.get(source) for source in sources), trace.error]
        yield "\t".join("" if value is None else shown(as_text(value)) for value in fields)


def _named(found: Trace | Stretch) -> str:
    return f"({found.source})" if found.verdict == UNKNOWN else found.source


def _probability(found: Trace | Stretch) -> str:
    return "" if found.probability is None else f"{found.probability:.3f}"


def _against_threshold(trace: Trace) -> str:
    if trace.verdict == ENROLLED:
        return f"similarity {trace.similarities[trace.source]:.3f}"
    if trace.score is None:
        return ""
    return f"{trace.score:.3f} {'<' if trace.verdict == UNKNOWN else '>='} {trace.threshold:.3f}"


def _segments(trace: Trace) -> Iterator[str]:
    if trace.silent:
        yield f"  {trace.silent} of {trace.silent + len(trace.segments)} segments are silent and were left out"
    different = len(trace.disagreeing)
    if not different:
        return
    if different == len(trace.segments):  # two sources in equal parts may look like a third
        yield f"  none of {different} segments is like the file as a whole, which may be of several sources:"
    else:
        yield f"  {different} of {len(trace.segments)} segments differ from the file as a whole:"
    together = runs(trace.segments, lambda one, other: (one.verdict, one.source) == (other.verdict, other.source))
    stretches = [group for group in together if group[0].differs(trace)]
    for group in stretches[:LISTED]:
        likely = [one.probability for one in group if one.probability is not None]
        mean = f"  {sum(likely) / len(likely):.3f}" if likely else ""
        times = f"{clock(group[0].start)} - {clock(group[-1].end)}"
        yield f"    {times:17}  {group[0].verdict or '-':15}  {_named(group[0])}{mean}"
    if len(stretches) > LISTED:
        yield f"    and so on: {len(stretches) - LISTED} more stretches, which --json lists"


def _ranking(trace: Trace) -> Iterator[str]:
    yield f"  of the {len(trace.ranking)} known sources:"
    names = max(len(name) for name, _ in trace.ranking)
    for name, probability in trace.ranking[:RANKED]:
        yield f"    {name:{names}}  {probability:.3f}"
    for name, similarity in trace.similarities.items():
        yield f"  similarity to the enrolled {name}: {similarity:.3f}"
