"""What tracing finds of a file and of its segments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

KNOWN, UNKNOWN, ENROLLED = "known source", "unknown source", "enrolled source"
"""Verdicts."""


@dataclass(frozen=True)
class Finding:
    """Of a file or a segment."""

    verdict: str | None
    """One of the three; none where the models have no decision."""
    source: str
    """The likeliest of those that the models were trained on; or the one enrolled, if that is the verdict."""
    probability: float | None
    """Of that source, among those that the models were trained on; an enrolled one has none."""
    score: float | None
    """The higher, the more like a known source; against the threshold of the trace."""


@dataclass(frozen=True)
class Stretch(Finding):
    """Of a segment, from `start` to `end` in seconds."""

    start: float
    end: float

    def differs(self, whole: Finding) -> bool:
        """Whether it has another verdict than its file, or another source; unknown sources are not told apart."""
        return self.verdict != whole.verdict or (self.verdict != UNKNOWN and self.source != whole.source)


@dataclass(frozen=True)
class Trace(Finding):
    """Of a file. If it could not be read, `error` says why, and there is nothing else."""

    file: str
    seconds: float = 0.0
    """How long the file is, as far as it was traced."""
    threshold: float | None = None
    """At this score or above it: a known source."""
    ranking: tuple[tuple[str, float], ...] = ()
    """The known sources and their probabilities, the likeliest first."""
    similarities: dict[str, float] = field(default_factory=dict)
    """To each enrolled source."""
    segments: tuple[Stretch, ...] = ()
    silent: int = 0
    """Segments that were left out, because there is nothing in them."""
    error: str = ""

    @property
    def disagreeing(self) -> list[Stretch]:
        """The segments that differ from the whole."""
        return [segment for segment in self.segments if segment.differs(self)]


def runs(found: Sequence[Stretch], alike: Callable[[Stretch, Stretch], bool] = lambda *_: True) -> list[list[Stretch]]:
    """Neighbours that are alike, together; not across a gap, of which nothing was found."""
    groups: list[list[Stretch]] = []
    for one in found:
        if groups and one.start <= groups[-1][-1].end and alike(groups[-1][-1], one):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def unread(file: str, error: str) -> Trace:
    """Of a file that could not be read."""
    return Trace(None, "", None, None, file, error=error)
