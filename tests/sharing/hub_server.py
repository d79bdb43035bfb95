"""A real HTTP server on loopback that speaks the hub's protocol, as far as pushing a model and having it need it.

What was pushed is given as `tests.frontends.hub_server` gives checkpoints.
"""

import base64
import hashlib
import json
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tests.frontends import hub_server
from tests.frontends.hub_server import LARGE, Handler

FIRST = "0" * 40  # the commit that a repository begins with
WRITES, READS = "hf_writes", "hf_reads"  # tokens


@dataclass
class Hub(hub_server.Hub):
    """A hub with one owner, `lab`.

    Attributes:
        created: what repositories were asked to be, by name.
        uploads: large files by their sha256.
        commits: how many were made.
    """

    created: dict[str, dict] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0


class PushHandler(Handler):
    hub: Hub

    def do_POST(self):  # noqa: N802 - the name that http.server looks for
        path, content = self._asked()
        if path == "/api/validate-yaml":
            self._answer_json({"errors": [], "warnings": []})
        elif refused := self._refusal(path, content):
            self._refuse(refused, "")
        elif path == "/api/repos/create":
            self._create(json.loads(content))
        elif asked := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", path):
            files = json.loads(content)["files"]
            modes = {file["path"]: "lfs" if file["size"] >= LARGE else "regular" for file in files}
            self._answer_json(
                {"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]}
            )
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**wanted, "actions": {"upload": {"href": f"{self.hub.url}/upload/{wanted['oid']}", "header": {}}}}
                for wanted in json.loads(content)["objects"]
            ]
            self._answer_json({"transfer": "basic", "objects": objects})
        elif asked := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            self._commit(asked[1], [json.loads(line) for line in content.splitlines()])
        else:
            self._refuse(404, "")

    def do_PUT(self):  # noqa: N802
        path, content = self._asked()
        self.hub.uploads[path.rpartition("/")[2]] = content
        self._send(b"", {})

    def _asked(self) -> tuple[str, bytes]:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        if self.headers.get("Transfer-Encoding") != "chunked":
            return path, self.rfile.read(int(self.headers["Content-Length"]))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return path, content

    def _refusal(self, path: str, content: bytes) -> int:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (WRITES, READS):
            return 401
        if token == READS:
            return 403
        return 404 if path == "/api/repos/create" and json.loads(content)["organization"] != "lab" else 0

    def _create(self, asked: dict) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        url = {"url": f"{self.hub.url}/{name}"}
        if name in self.hub.repositories:
            self._answer_json(url, 409)
            return
        self.hub.created[name] = asked
        self.hub.add(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, FIRST)
        self._answer_json(url)

    def _commit(self, name: str, lines: list[dict]) -> None:
        repository = self.hub.repositories[name]
        files = dict(repository.commits[repository.resolve("main")])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploads[value["oid"]]
                assert hashlib.sha256(files[value["path"]]).hexdigest() == value["oid"]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.hub.commits += 1
        commit = hashlib.sha1(f"{name} {self.hub.commits}".encode()).hexdigest()
        self.hub.add(name, files, commit)
        self._answer_json({"success": True, "commitOid": commit, "commitUrl": f"{self.hub.url}/{name}/commit/{commit}"})

    def _answer_json(self, content: dict, status: int = 200) -> None:
        text = json.dumps(content).encode()
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(text))})
        self.wfile.write(text)


def serve() -> AbstractContextManager[Hub]:
    return hub_server.serve(Hub(), PushHandler)
