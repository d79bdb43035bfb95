"""A real HTTP server on loopback that misbehaves as it is told."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Server:
    """What it has, by path with query, and how it behaves.

    Attributes:
        files: content by path.
        faults: by path, what goes wrong with each GET in turn: a status, `drop:N` (N bytes, then the connection is
            gone), `stall:N` (N bytes, then nothing), `short:N` (an answer that is whole, but of N bytes only).
        redirects: path to address.
        answers: extra headers by path.
        ranges: whether it knows ranges.
        tags: whether it tells versions apart.
        requests: (method, path, headers) as they came.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    answers: dict[str, dict[str, str]] = field(default_factory=dict)
    ranges: bool = True
    tags: bool = True
    requests: list[tuple[str, str, dict]] = field(default_factory=list)

    def gets(self, path: str) -> list[dict]:
        """Headers of the GET requests for a path."""
        return [headers for method, asked, headers in self.requests if (method, asked) == ("GET", path)]


@contextmanager
def serve() -> Iterator[Server]:
    server = Server()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self._answer(body=False)

        def do_GET(self):
            self._answer(body=True)

        def log_message(self, *_):
            pass

        def _answer(self, body: bool) -> None:
            split = urlsplit(self.path)  # a proxy is asked for a whole address
            path = unquote(split.path) + (f"?{split.query}" if split.query else "")
            server.requests.append((self.command, self.path if split.netloc else path, dict(self.headers)))
            fault = server.faults[path].pop(0) if body and server.faults.get(path) else ""
            if path in server.redirects:
                self._head(302, {"Location": server.redirects[path], "Content-Length": "0"})
            elif isinstance(fault, int):
                self._head(fault, {"Content-Length": "0", **server.answers.get(path, {})})
            elif path not in server.files:
                self._head(404, {"Content-Length": "0"})
            else:
                self._send(path, *fault.split(":"), body=body)

        def _send(self, path: str, kind: str, count: str = "", *, body: bool) -> None:
            content = server.files[path]
            tag = f'"{md5(content).hexdigest()}"' if server.tags else ""
            headers = {"ETag": tag} if tag else {}
            if kind == "short":
                content = content[: int(count)]
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start, status = 0, 200
            if asked and server.ranges and self.headers.get("If-Range", tag) == tag:
                start, status = int(asked[1]), 206
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                if start >= len(content):
                    status, headers["Content-Range"] = 416, f"bytes */{len(content)}"
            rest = content[start:]
            self._head(status, headers | {"Content-Length": str(len(rest))} | server.answers.get(path, {}))
            if body:
                self.wfile.write(rest[: int(count)] if kind in ("drop", "stall") else rest)
                self.wfile.flush()
                if kind == "stall":
                    over.wait(20)
                self.close_connection = kind in ("drop", "stall")

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    listening.handle_error = lambda *_: None  # a client that hangs up is no news
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        over.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
