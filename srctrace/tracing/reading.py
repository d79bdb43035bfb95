"""Many files as pieces of a few segments, decoded in threads ahead of the model."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from srctrace.errors import UserError
from srctrace.tracing.segments import Segment, segments

PIECE = 8  # segments
IN_FLIGHT = 32  # files decoded ahead, a piece of each: bounds the memory


@dataclass(frozen=True)
class Piece:
    """Some segments of a file, at most `PIECE`. `error`: why there are no more, where the file is at fault."""

    segments: list[Segment]
    last: bool  # of its file
    error: str = ""


def read_ahead(files: Sequence[str | os.PathLike], seconds: float, threads: int) -> Iterator[Piece]:
    """The pieces of each file in turn; see `segments.segments`."""

    def begin(count: int) -> None:
        for file in islice(source, count):
            stream = segments(file, seconds)
            waiting.append((file, stream, pool.submit(_next, file, stream)))

    source = iter(files)
    waiting: deque[tuple[str | os.PathLike, Iterator[Segment], Future[Piece]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        begin(IN_FLIGHT)
        while waiting:
            file, stream, future = waiting.popleft()
            piece = future.result()
            if piece.last:
                begin(1)
            else:
                waiting.appendleft((file, stream, pool.submit(_next, file, stream)))
            yield piece
    finally:
        pool.shutdown(cancel_futures=True)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _next(file: str | os.PathLike, stream: Iterator[Segment]) -> Piece:
    try:
        found = list(islice(stream, PIECE))
    except UserError as error:
        return Piece([], True, str(error))
    except MemoryError:
        raise
    except Exception as error:  # of whatever kind: the files after it are none the worse
        reason = f"{type(error).__name__}: {error}"
        return Piece([], True, f"{file}: cannot be read ({reason}): convert it to WAV or FLAC, or leave it out")
    return Piece(found, len(found) < PIECE)
