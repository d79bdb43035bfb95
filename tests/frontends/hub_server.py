"""A real HTTP server on loopback that speaks the hub's protocol, as far as fetching a checkpoint needs it."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = 10_000  # bytes: files of this size are in LFS here


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    """A checkpoint on the hub.

    Attributes:
        commits: files by name, by commit; the last one is main.
        gated: whether its files are only given to those who have a token.
        drops: how many more connections are gone in the midst of a large file.
        tampered: whether large files arrive with another last byte than published.
    """

    commits: dict[str, dict[str, bytes]]
    gated: bool = False
    drops: int = 0
    tampered: bool = False

    def resolve(self, revision: str) -> str | None:
        return list(self.commits)[-1] if revision == "main" else revision if revision in self.commits else None


@dataclass
class Hub:
    """Repositories by name, and the requests as they came: (method, path)."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, files: dict[str, bytes], commit: str, **how: object) -> Repository:
        if name in self.repositories:
            self.repositories[name].commits[commit] = files
        else:
            self.repositories[name] = Repository({commit: files}, **how)
        return self.repositories[name]

    def fetched(self) -> set[str]:
        """Names of the files whose content was asked for."""
        asked = [path for method, path in self.requests if method == "GET" and ("/resolve/" in path or "/cdn/" in path)]
        return {path.rpartition("/")[2] for path in asked}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def log_message(self, *_):
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        if asked := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            self._describe(asked[1], asked[2] or "revision", asked[3] or "main")
        elif asked := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._give(*asked.groups())
        elif asked := re.fullmatch(r"/cdn/([^/]+/[^/]+)/([^/]+)/(.+)", path):
            repository = self.hub.repositories[asked[1]]
            drop = self.command == "GET" and repository.drops > 0
            repository.drops -= drop
            self._send(repository.commits[asked[2]][asked[3]], {}, drop, repository.tampered)
        elif path.startswith("/portal/"):
            self._send(b"<html>log in</html>", {"Content-Type": "text/html"})
        else:
            self._refuse(503 if path.startswith("/down/") else 404, "")

    def _describe(self, name: str, what: str, revision: str) -> None:
        repository, commit = self._find(name, revision)
        if not commit:
            return
        entries = [self._entry(path, content) for path, content in repository.commits[commit].items()]
        if what == "tree":
            self._send(json.dumps(entries).encode(), {"Content-Type": "application/json"})
            return
        siblings = [
            {"rfilename": entry["path"], "size": entry["size"], "blobId": entry["oid"]}
            | (
                {"lfs": {"sha256": entry["lfs"]["oid"], "size": entry["size"], "pointerSize": 135}}
                if "lfs" in entry
                else {}
            )
            for entry in entries
        ]
        answer = {"id": name, "modelId": name, "sha": commit, "private": False, "gated": False, "siblings": siblings}
        self._send(json.dumps(answer).encode(), {"Content-Type": "application/json"})

    @staticmethod
    def _entry(path: str, content: bytes) -> dict[str, object]:
        entry = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
        if len(content) >= LARGE:
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 135}
        return entry

    def _give(self, name: str, revision: str, path: str) -> None:
        repository, commit = self._find(name, revision)
        if not commit:
            return
        if repository.gated and not self.headers.get("Authorization"):
            self._refuse(401, "GatedRepo")
        elif path not in repository.commits[commit]:
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        elif len(content := repository.commits[commit][path]) < LARGE:
            self._send(content, {"X-Repo-Commit": commit, "ETag": f'"{git_sha1(content)}"'})
        else:
            tag = f'"{hashlib.sha256(content).hexdigest()}"'
            linked = {"X-Linked-ETag": tag, "X-Linked-Size": str(len(content)), "X-Repo-Commit": commit}
            elsewhere = self.hub.url.replace("127.0.0.1", "localhost")  # the hub's large files are on another host
            self._head(302, linked | {"Location": f"{elsewhere}/cdn/{name}/{commit}/{path}", "Content-Length": "0"})

    def _find(self, name: str, revision: str) -> tuple[Repository | None, str | None]:
        repository = self.hub.repositories.get(name)
        commit = repository.resolve(revision) if repository else None
        if repository is None:
            self._refuse(401, "RepoNotFound")  # so does the hub, that nobody learns which private ones there are
        elif commit is None:
            self._refuse(404, "RevisionNotFound")
        return repository, commit

    def _send(self, content: bytes, headers: dict[str, str], drop: bool = False, tampered: bool = False) -> None:
        if tampered:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start, status = 0, 200
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start, status = int(asked[1]), 206
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        rest = content[start:]
        self._head(status, {"Accept-Ranges": "bytes", **headers, "Content-Length": str(len(rest))})
        if self.command == "GET":
            self.wfile.write(rest[: len(rest) // 2] if drop else rest)
            self.close_connection = drop

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": "0", "X-Error-Code": code, "X-Error-Message": code, **(headers or {})})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serve(hub: Hub | None = None, handler: type[Handler] | None = None) -> Iterator[Hub]:
    """A hub of one's own, and what answers for it; else one that is empty and can be read."""
    hub = hub or Hub()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), type("HubHandler", (handler or Handler,), {"hub": hub}))
    listening.daemon_threads = True
    listening.handle_error = lambda *_: None  # a client that hangs up is no news
    hub.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
