"""HTTP: a file as its server has it, resumed where it broke off.

What has come is kept in `NAME.partial`, with the server's name for that version of the file beside it, so that a
version is never continued with another. The proxy and the certificates of the environment hold (HTTPS_PROXY, NO_PROXY,
REQUESTS_CA_BUNDLE).
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from srctrace import __version__
from srctrace.download.catalogue import File
from srctrace.download.verify import require
from srctrace.errors import UserError

BLOCK = 1 << 16  # what is lost when a connection drops
PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers worth asking again for
LONGEST_PAUSE = 60.0  # seconds


class HostError(UserError):
    """A host that cannot be reached, or does not give what it should: there is a way by hand."""


class RefusedError(HostError):
    """A host that answered, and will give the same answer again."""


class _PassingError(Exception):
    """A fault that may be gone the next time; `pause` is what the server asked for, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0):
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class Patience:
    """How often to ask in vain, what to wait before the second time (doubled each time), and for an answer, in s."""

    attempts: int = 6
    pause: float = 1.0
    timeout: float = 60.0


class Host:
    """Requests with retries. `headers` go to the hosts that are asked, not to those they redirect to."""

    def __init__(self, patience: Patience, headers: Mapping[str, str] | None = None):
        self.patience = patience
        self.session = requests.Session()
        # Archives come as they are: no second compression, which would have sizes of its own.
        self.session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"srctrace/{__version__}"})
        self.session.headers.update(headers or {})

    def size(self, file: File) -> int | None:
        """Bytes of a file: as published, or as the server says, if it does.

        Raises:
            HostError: the host cannot be reached, or has a file of another size than was published.
        """

        def ask() -> int | None:
            with self._answer("HEAD", file.url) as answer:
                length = answer.headers.get("Content-Length", "")
                return int(length) if answer.status_code == 200 and length.isdigit() else None

        try:
            said = self._retried(file.url, ask)
        except RefusedError:  # of HEAD; whether it refuses the file is seen when it is asked for
            return file.size
        _require_size(file, said)
        return said if file.size is None else file.size

    def json(self, url: str) -> tuple[object, str]:
        """What a JSON interface answers, and the address of its next page, if there is one.

        Raises:
            HostError: it cannot be had, or is no JSON.
        """

        def ask() -> tuple[object, str]:
            with self._answer("GET", url) as answer:
                try:
                    return answer.json(), answer.links.get("next", {}).get("url", "")
                except requests.JSONDecodeError:
                    raise RefusedError(f"{url}: the answer is not JSON") from None

        return self._retried(url, ask)

    def fetch(self, file: File, path: Path, advance: Callable[[int], object]) -> None:
        """Have `file` at `path`, whole and checked. `advance` hears of bytes gained, and (negative) of those lost.

        Raises:
            HostError: it cannot be had, or the host has another file.
            UserError: another file lies there already.
        """
        if path.exists():
            require(file, path)
            advance(path.stat().st_size)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        version = partial.with_name(partial.name + ".version")
        advance(_size(partial))
        if file.size is None or _size(partial) != file.size:
            self._retried(file.url, lambda: self._more(file, partial, version, advance), lambda: _size(partial))
        try:
            require(file, partial)
        except UserError as error:
            partial.unlink()
            version.unlink(missing_ok=True)
            raise HostError(f"{file.url}: what it gave is not what was published, and was not kept: {error}") from None
        os.replace(partial, path)
        version.unlink(missing_ok=True)

    def _more(self, file: File, partial: Path, version: Path, advance: Callable[[int], object]) -> None:
        """Ask for what is missing of a file, once."""
        have = _size(partial)
        headers = {}
        if have and version.exists():
            headers = {"Range": f"bytes={have}-", "If-Range": version.read_text()}
        with self._answer("GET", file.url, headers) as answer:
            start, total = _extent(answer)
            if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if total == have:
                    return
                version.unlink()  # what is here is longer than the file: from the start, then
                raise _PassingError(f"there are {have} bytes here, of {total}")
            _require_size(file, total)
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                raise RefusedError(f"{file.url}: a web page came instead of the file: a log-in page, or a proxy's?")
            if start not in (0, have):
                raise _PassingError(f"asked for what follows byte {have}, it gave what follows {start}")
            if start == 0:
                advance(-have)
                partial.write_bytes(b"")
                version.write_text(_version(answer))
                if not _version(answer):
                    version.unlink()
            with partial.open("ab") as out:
                for block in answer.raw.stream(BLOCK, decode_content=False):
                    out.write(block)
                    advance(len(block))
            if total is not None and (came := _size(partial)) != total:
                if came > total:
                    partial.unlink()
                    advance(-came)
                raise _PassingError(f"{came} bytes came, of {total}")

    @contextmanager
    def _answer(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Iterator[requests.Response]:
        """An answer to be read, whose status is one of success (or of a range that is not there)."""
        try:
            timeout = self.patience.timeout
            with self.session.request(
                method, url, headers=headers, stream=True, timeout=timeout, allow_redirects=True
            ) as answer:
                status = answer.status_code
                says = f"{status} {answer.reason}"
                if status in PASSING:
                    asked = answer.headers.get("Retry-After", "")
                    raise _PassingError(says, float(asked) if asked.isdigit() else 0.0)
                expected = (200, 206, 416) if headers else (200,)
                if status not in expected:
                    raise RefusedError(f"{url}: {says}" + (" (log in?)" if status in (401, 403) else ""))
                yield answer
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError, ConnectionError) as error:
            raise _PassingError(_plain(error)) from None
        except requests.RequestException as error:  # an address that is none, a redirection that never ends
            raise RefusedError(f"{url}: {error}") from None

    def _retried(self, url: str, ask: Callable[[], object], gained: Callable[[], int] = lambda: 0):
        """Ask until it works; an attempt that brought something further does not count as in vain.

        Raises:
            HostError: it never worked.
        """
        vain = 0
        while True:
            before = gained()
            try:
                return ask()
            except _PassingError as error:
                vain = 1 if gained() > before else vain + 1
                if vain >= self.patience.attempts:
                    host = urlsplit(url).netloc
                    raise HostError(f"{url}: no success in {vain} attempts at {host}: {error}") from None
                time.sleep(min(LONGEST_PAUSE, max(error.pause, self.patience.pause * 2 ** (vain - 1))))


def _require_size(file: File, said: int | None) -> None:
    if None not in (file.size, said) and said != file.size:
        raise RefusedError(f"{file.url}: the server has {said} bytes, {file.size} are expected: another file")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _extent(answer: requests.Response) -> tuple[int, int | None]:
    """First byte that an answer holds, and bytes of the whole file, if it says."""
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    if unit == "bytes" and answer.status_code in (206, 416):
        start = span.partition("-")[0]
        return int(start) if start.isdigit() else 0, int(total) if total.isdigit() else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _version(answer: requests.Response) -> str:
    """What `If-Range` takes: a strong entity tag, or the date of the last change; empty if there is neither."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _plain(error: Exception) -> str:
    """The innermost reason, without the layers of libraries around it."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, Exception):
            inner = next((part for part in error.args if isinstance(part, Exception)), None)
        if inner is None:
            return str(error) or type(error).__name__
        error = inner
