"""A zip archive in several parts, as one file that `zipfile` reads.

In a split archive (`zip -s`) a place is given as a part and a distance from that part's start, which Python's zipfile
does not know. The parts are laid end to end, with a directory behind them in which every place is counted from the
start of the first. Only the directory is held in memory.
"""

import bisect
import io
import struct
from collections.abc import Sequence
from pathlib import Path

from srctrace.errors import UserError

END = struct.Struct("<4s4H2LH")  # end of the central directory
END64 = struct.Struct("<4sQ2H2L4Q")  # the same for large archives
LOCATOR64 = struct.Struct("<4sLQL")  # where that is
ENTRY = struct.Struct("<4s4B4HL2L5H2L")  # an entry of the central directory; name, extra and comment follow
WIDE = 0xFFFFFFFF  # stands where the number is in the extra field
WIDE_PART = 0xFFFF


class Joined(io.RawIOBase):
    """Files and bytes, one after the other, as one file to read."""

    def __init__(self, pieces: Sequence[io.BufferedIOBase]):
        self._pieces = []
        self.starts = [0]
        self._position = 0
        for piece in pieces:
            self.append(piece)

    def append(self, piece: io.BufferedIOBase) -> None:
        self._pieces.append(piece)
        self.starts.append(self.starts[-1] + piece.seek(0, io.SEEK_END))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.starts[-1]}[whence]
        return self._position

    def readinto(self, buffer) -> int:
        index = bisect.bisect_right(self.starts, self._position) - 1
        if index >= len(self._pieces):
            return 0
        piece = self._pieces[index]
        piece.seek(self._position - self.starts[index])
        count = piece.readinto(buffer)
        self._position += count
        return count

    def close(self) -> None:
        for piece in self._pieces:
            piece.close()
        super().close()


def open_split_zip(paths: Sequence[Path]) -> io.BufferedReader:
    """The parts of a split archive, in order, the `.zip` last: a file for `zipfile.ZipFile`.

    Raises:
        UserError: a part is missing, or the directory makes no sense.
    """
    joined = Joined([path.open("rb") for path in paths])
    file = io.BufferedReader(joined, 1 << 20)
    try:
        joined.append(io.BytesIO(_directory(file, joined.starts, paths)))
    except (struct.error, IndexError, ValueError):
        file.close()
        raise UserError(f"{paths[-1]}: its directory is damaged: delete it and run again") from None
    except UserError:
        file.close()
        raise
    return file


def _directory(file: io.BufferedReader, starts: Sequence[int], paths: Sequence[Path]) -> bytes:
    """A directory to stand behind the parts."""
    tail_start = max(starts[-2], starts[-1] - END.size - 0xFFFF)
    tail = _read(file, tail_start, starts[-1] - tail_start)
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise UserError(f"{paths[-1]}: not a zip archive, or truncated: delete it and run again")
    _, last, first, _, count, size, offset, _ = END.unpack_from(tail, at)
    locator = _read(file, tail_start + at - LOCATOR64.size, LOCATOR64.size) if at + tail_start > LOCATOR64.size else b""
    if locator[:4] == b"PK\6\7":
        _, part, place, _ = LOCATOR64.unpack(locator)
        _, _, _, _, last, first, _, count, size, offset = END64.unpack(_read(file, starts[part] + place, END64.size))
    if last != len(paths) - 1:
        raise UserError(f"{paths[-1]}: the last of {last + 1} parts, but there are {len(paths)}: {_names(paths)}")
    entries = _read(file, starts[first] + offset, size)
    rewritten = _rewritten(entries, count, starts)
    end = starts[-1] + len(rewritten)
    return b"".join(
        [
            rewritten,
            END64.pack(b"PK\6\6", END64.size - 12, 45, 45, 0, 0, count, count, len(rewritten), starts[-1]),
            LOCATOR64.pack(b"PK\6\7", 0, end, 1),
            END.pack(b"PK\5\6", 0, 0, WIDE_PART, WIDE_PART, WIDE, WIDE, 0),
        ]
    )


def _rewritten(entries: bytes, count: int, starts: Sequence[int]) -> bytes:
    """The entries of a directory, with sizes and places in their wide form, places counted from the first part."""
    out = []
    at = 0
    for _ in range(count):
        fields = list(ENTRY.unpack_from(entries, at))
        if fields[0] != b"PK\1\2":
            raise ValueError("no entry where one should be")
        name_length, extra_length, comment_length = fields[12:15]
        name_at = at + ENTRY.size
        extra_at = name_at + name_length
        comment_at = extra_at + extra_length
        at = comment_at + comment_length
        packed, size, part, place = fields[10], fields[11], fields[15], fields[18]
        wide, extra = _split_extra(entries[extra_at:comment_at])
        if size == WIDE:
            size, wide = _take(wide, 8)
        if packed == WIDE:
            packed, wide = _take(wide, 8)
        if place == WIDE:
            place, wide = _take(wide, 8)
        if part == WIDE_PART:
            part, wide = _take(wide, 4)
        if not 0 <= part < len(starts) - 1:
            raise ValueError("no such part")
        extra = struct.pack("<2H3Q", 1, 24, size, packed, starts[part] + place) + extra
        fields[10], fields[11], fields[13], fields[15], fields[18] = WIDE, WIDE, len(extra), 0, WIDE
        out += [ENTRY.pack(*fields), entries[name_at:extra_at], extra, entries[comment_at:at]]
    return b"".join(out)


def _split_extra(extra: bytes) -> tuple[bytes, bytes]:
    """The content of an extra field's wide numbers, and the extra field without it."""
    wide, rest = b"", b""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        end = at + 4 + length
        if kind == 1:
            wide = extra[at + 4 : end]
        else:
            rest += extra[at:end]
        at = end
    return wide, rest


def _take(content: bytes, count: int) -> tuple[int, bytes]:
    if len(content) < count:
        raise ValueError("a number is missing")
    return int.from_bytes(content[:count], "little"), content[count:]


def _read(file: io.BufferedReader, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)
