"""What is sent, as a file on disk for the time that it is needed, within limits."""

import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import soundfile
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

MEGABYTE = 1_000_000
UNKNOWN_LENGTH = 1 << 62  # frames: what libsndfile says of a stream whose header does not say


@dataclass(frozen=True)
class Limits:
    """Of one file."""

    megabytes: float
    minutes: float

    @property
    def bytes(self) -> int:
        return round(self.megabytes * MEGABYTE)


@asynccontextmanager
async def received(request: Request, limits: Limits, folder: Path) -> AsyncIterator[Path]:
    """The body of a request, or the one file of a `multipart/form-data` body; in `folder`, under a name of our own.

    Raises:
        HTTPException: 400, it is empty or no such form; 413, it is larger than may be.
        ClientDisconnect: who sends it went away.
    """
    handle, name = tempfile.mkstemp(dir=folder)
    path = Path(name)
    try:
        with open(handle, "wb") as file:
            stream = _limited(request, limits)
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data":
                await _write_part(request, stream, file)
            else:
                async for chunk in stream:
                    file.write(chunk)
        if not path.stat().st_size:
            raise HTTPException(400, "nothing was sent: the audio file is the body, or the file of a form")
        yield path
    finally:
        path.unlink()


async def _limited(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    refusal = HTTPException(413, f"larger than {limits.megabytes:g} MB: cut it, or send it as FLAC or MP3")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.bytes:
        raise refusal
    count = 0
    async for chunk in request.stream():
        count += len(chunk)
        if count > limits.bytes:
            raise refusal
        yield chunk


async def _write_part(request: Request, stream: AsyncGenerator[bytes, None], file: BinaryIO) -> None:
    try:
        form = await MultiPartParser(request.headers, stream, max_files=1, max_fields=8).parse()
    except MultiPartException as error:
        raise HTTPException(400, f"not a form with one file: {error.message}") from None
    try:
        parts = [value for value in form.values() if isinstance(value, UploadFile)]
        if not parts:
            raise HTTPException(400, "not a form with one file: it has none")
        shutil.copyfileobj(parts[0].file, file)
    finally:
        await form.close()


def require_short_audio(path: Path, limits: Limits) -> None:
    """Refuse what is no audio, or takes too long to be traced, by its header: no more than that says is ever read.

    Raises:
        HTTPException: 400, libsndfile cannot read it; 413, it is longer than may be; 422, it does not say how long.
    """
    try:
        with soundfile.SoundFile(path) as audio:
            frames, rate = audio.frames, audio.samplerate
    except (soundfile.LibsndfileError, TypeError) as error:
        reason = getattr(error, "error_string", str(error)).rstrip(".")
        raise HTTPException(400, f"not audio that can be read ({reason}): convert it to WAV or FLAC") from None
    if frames > UNKNOWN_LENGTH:
        raise HTTPException(422, "its header does not say how long it is: convert it to WAV or FLAC")
    if frames > limits.minutes * 60 * rate:
        minutes = frames / rate / 60
        raise HTTPException(413, f"{minutes:.1f} minutes, and {limits.minutes:g} are the most: cut it")
