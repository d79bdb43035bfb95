"""A server on a free port of loopback, with a small model that has a decision, and what is sent to it."""

import http.client
import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import uvicorn

from srctrace import decision
from srctrace.embeddings import Trials
from srctrace.serving.app import make_app
from srctrace.serving.server import listen
from srctrace.serving.upload import Limits
from srctrace.tracing import Tracer
from srctrace.tracing.member import load_members
from tests.sharing.making import SOURCES, make_model

RATE = 16000
LIMITS = Limits(megabytes=0.3, minutes=0.2)


def audio(seconds: float = 1.5, format: str = "WAV", seed: int = 0) -> bytes:
    samples = 0.1 * np.random.default_rng(seed).normal(size=round(seconds * RATE))
    file = BytesIO()
    soundfile.write(file, samples, RATE, format=format)
    return file.getvalue()


def decided_model(folder: Path) -> Path:
    """A model with random weights, and a decision fitted to what it makes of noise: it knows that."""
    make_model(folder)
    (member,) = load_members([folder], "cpu", 1)
    rng = np.random.default_rng(0)
    n = 60
    noise = (0.1 * 32768 * rng.normal(size=(n, round(member.description.seconds * RATE)))).astype(np.int16)
    embeddings, logits = member.run(member.front_end(noise))
    label = np.arange(n) % len(SOURCES)
    names = {"utterance": np.arange(n).astype(str), "source": np.array(SOURCES)[label]}
    same = {"variant": "clean", "language": "de", "speaker": ""}
    trials = Trials(
        tuple(SOURCES),
        embeddings.astype(float),
        logits,
        label,
        split=np.where(np.arange(n) < n // 2, "train", "dev"),
        **names,
        **{name: np.full(n, value) for name, value in same.items()},
    )
    decision.save(decision.fit(trials, "mlaad"), folder / decision.NAME, member.digest)
    return folder


@dataclass(frozen=True)
class Running:
    """A server. `folder`: where it keeps files."""

    port: int
    folder: Path
    tracer: Tracer

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(
        self, path: str, body: bytes | Iterable[bytes] | None = None, headers: dict | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer. A body that is no bytes is sent in chunks, of no length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has all
            connection.request("GET" if body is None else "POST", path, body, headers or {})
        response = connection.getresponse()
        found = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return found

    def trace(self, body: bytes | Iterable[bytes], headers: dict | None = None) -> tuple[int, dict]:
        status, _, content = self.ask("/trace", body, headers)
        return status, json.loads(content)

    def wait_until_empty(self) -> None:
        """Until no file is left."""
        end = time.monotonic() + 10
        while any(self.folder.iterdir()):
            assert time.monotonic() < end, list(self.folder.iterdir())
            time.sleep(0.02)


@contextmanager
def running(model: Path, folder: Path, report: Path | None = None, limits: Limits = LIMITS) -> Iterator[Running]:
    """A server in a thread."""
    folder.mkdir(exist_ok=True)
    tracer = Tracer.load([model], "cpu", 1)
    app = make_app(tracer, report, limits, folder)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    with listen(0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Running(listening.getsockname()[1], folder, tracer)
        finally:
            server.should_exit = True
            thread.join(20)
