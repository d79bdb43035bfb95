"""Answers over loopback: what is traced, what is refused, and what is left behind."""

import json
import socket
import threading
import time
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import soundfile

from srctrace.errors import UserError
from srctrace.serving.page import render
from srctrace.tracing.basis import basis_of
from tests.serving.making import LIMITS, RATE, audio, running
from tests.sharing.making import SOURCES, make_model


@pytest.fixture(autouse=True)
def _nothing_is_left(server):
    yield
    server.wait_until_empty()


def in_chunks(content: bytes, size: int = 10_000):
    return (content[place : place + size] for place in range(0, len(content), size))


def form(*parts: tuple[str, bytes]) -> tuple[bytes, dict]:
    """A `multipart/form-data` body, and its headers; a part is what follows `form-data; `, and its content."""
    body = b"".join(
        f"--edge\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode() + content + b"\r\n"
        for about, content in parts
    )
    return body + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3", "OGG"])
def test_audio_of_any_format_is_traced(server, format):
    status, found = server.trace(audio(format=format))
    assert status == 200, found
    assert found["ranking"][0]["source"] == found["source"]
    assert {one["source"] for one in found["ranking"]} == set(SOURCES)
    assert sum(one["probability"] for one in found["ranking"]) == pytest.approx(1)
    assert found["seconds"] == pytest.approx(1.5, abs=0.1)
    assert found["basis"]["assumption"]
    assert "file" not in found


def test_the_answer_is_that_of_the_tracer(server, tmp_path):
    (tmp_path / "a.wav").write_bytes(audio(2.3))
    (trace,) = server.tracer.trace([tmp_path / "a.wav"])
    _, found = server.trace(audio(2.3))
    assert (found["verdict"], found["source"], found["score"]) == (trace.verdict, trace.source, trace.score)
    assert found["threshold"] == trace.threshold
    assert [(one["start"], one["end"]) for one in found["segments"]] == [(one.start, one.end) for one in trace.segments]
    assert sum(one["differs"] for one in found["segments"]) == len(trace.disagreeing)


def test_a_form_and_chunks_are_traced_as_a_body_is(server):
    expected = server.trace(audio())[1]
    assert server.trace(in_chunks(audio()))[1] == expected
    body, headers = form(('name="comment"', b"hello"), ('name="audio"; filename="../../etc/passwd"', audio()))
    assert server.trace(body, headers)[1] == expected


@pytest.mark.parametrize(
    "parts",
    [[('name="audio"', b"text")], [('name="a"; filename="a"', b"1"), ('name="b"; filename="b"', b"2")], []],
    ids=["no file", "two files", "no part"],
)
def test_a_form_without_one_file_is_refused(server, parts):
    status, found = server.trace(*form(*parts))
    assert status == 400
    assert "form with one file" in found["error"]


def test_a_damaged_form_is_refused(server):
    assert server.trace(b"no form", {"Content-Type": "multipart/form-data; boundary=edge"})[0] == 400
    assert server.trace(b"no form", {"Content-Type": "multipart/form-data"})[0] == 400


def test_what_is_no_audio_is_refused(server):
    status, found = server.trace(b"<html>no audio</html>" * 50)
    assert (status, found["error"][:24]) == (400, "not audio that can be re")
    status, found = server.trace(b"")
    assert (status, found["error"][:16]) == (400, "nothing was sent")


def test_audio_that_cannot_be_traced_is_refused_without_a_word_of_where_it_was_kept(server):
    cut = audio()[:-100]
    silent = audio()[:44] + bytes(len(audio()) - 44)
    for content, reason in ((cut, "truncated"), (silent, "silent")):
        status, found = server.trace(content)
        assert status == 422
        assert found["error"].startswith(reason)
        assert str(server.folder) not in found["error"]


def test_too_large_a_body_is_refused_with_and_without_a_length(server):
    large = audio(1.1 * LIMITS.bytes / 2 / RATE)
    for body in (large, in_chunks(large)):
        status, found = server.trace(body)
        assert status == 413
        assert found["error"].startswith("larger than 0.3 MB")


def test_too_large_a_form_is_refused(server):
    body, headers = form(('name="audio"; filename="a.wav"', bytes(LIMITS.bytes)))
    assert server.trace(in_chunks(body), headers)[0] == 413


def test_too_long_audio_is_refused(server):
    content = audio(13, "MP3")
    assert len(content) < LIMITS.bytes
    status, found = server.trace(content)
    assert status == 413
    assert found["error"].startswith("0.2 minutes, and 0.2 are the most")


def relabelled(flac: bytes, frames: int) -> bytes:
    """FLAC whose header says another number of frames: the last 36 bits of 8 bytes."""
    fields = int.from_bytes(flac[18:26], "big") >> 36 << 36
    return flac[:18] + (fields | frames).to_bytes(8, "big") + flac[26:]


def test_of_a_header_that_lies_no_more_is_read_than_it_says(server):
    quiet = audio(1, "FLAC")
    assert server.trace(relabelled(quiet, 0))[0] == 422
    assert server.trace(relabelled(quiet, 10 * 60 * RATE))[0] == 413
    silence = np.zeros(13 * RATE)
    silence[:RATE] = 0.1 * np.random.default_rng(0).normal(size=RATE)
    file = BytesIO()
    soundfile.write(file, silence, RATE, format="FLAC")
    status, found = server.trace(relabelled(file.getvalue(), RATE))
    assert status == 200
    assert found["seconds"] == 1.0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:9"])
def test_it_answers_by_names_of_loopback(server, host):
    assert server.ask("/model", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["example.org", "127.0.0.1.example.org", "localhost.example.org:80", "localhost:80@example.org", "[::2]", ""],
)
def test_it_answers_by_no_other_name(server, host):
    for path in ("/", "/model", "/report", "/nothing"):
        assert server.ask(path, headers={"Host": host})[0] == 421
    assert server.trace(audio(), {"Host": host})[0] == 421


def test_other_web_pages_cannot_have_files_traced(server):
    same = f"http://127.0.0.1:{server.port}"
    refused = [
        {"Origin": origin} for origin in ("http://example.org", "null", "http://127.0.0.1:1", "https" + same[4:])
    ]
    refused += [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site", "Origin": same}]
    for headers in refused:
        assert server.trace(audio(), headers)[0] == 403, headers
    assert server.trace(audio(), {"Origin": same, "Sec-Fetch-Site": "same-origin"})[0] == 200


def test_every_answer_is_guarded(server):
    for path, status in (("/", 200), ("/model", 200), ("/report", 200), ("/nothing", 404), ("/trace", 405)):
        found, headers, content = server.ask(path)
        headers = {name.lower(): value for name, value in headers.items()}
        assert found == status
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert not any(name.startswith("access-control") for name in headers)
        if status >= 400:
            assert json.loads(content)["error"]


def test_the_policy_of_the_page_allows_nothing_from_elsewhere(server):
    _, headers, content = server.ask("/")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert b'href="/report"' in content
    assert b"Not tested on real speech" in content


def test_the_page_tells_of_real_speech_by_languages(server):
    (one,) = server.tracer.members
    means = {"languages": ["pl"], "auroc": 0.7, "false_acceptance": 0.25, "false_rejection": 0.05}
    facts = one.decision.facts | {"bona_fide_other_languages": means}
    basis = basis_of([replace(one, decision=replace(one.decision, facts=facts))])
    limits = {"megabytes": 1, "minutes": 1}
    html, _ = render({"sources": SOURCES, "enrolled": [], "threshold": 0.0, "limits": limits, "basis": basis}, False)
    assert "Not tested on real speech in the training languages: of a recording" in html
    assert "<dt>Real speech</dt><dd>in other languages (pl), 25.0 % of it is called a known source</dd>" in html


def test_the_report_is_served_as_it_is(server):
    status, headers, content = server.ask("/report")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert content == (server.folder.parent / "report.html").read_bytes()


def test_model_says_what_a_trace_rests_on(server):
    found = json.loads(server.ask("/model")[2])
    assert found["basis"] == json.loads(json.dumps(server.tracer.basis))
    assert found["sources"] == SOURCES
    assert found["limits"] == {"megabytes": 0.3, "minutes": 0.2}


def test_a_model_without_a_decision_says_so(tmp_path):
    with running(make_model(tmp_path / "model"), tmp_path / "files") as undecided:
        page = undecided.ask("/")[2]
        assert b"uncalibrated" in page
        assert b'href="/report"' not in page
        assert undecided.ask("/report")[0] == 404
        status, found = undecided.trace(audio())
        assert (status, found["verdict"], found["score"], found["threshold"]) == (200, None, None, None)


class Slow:
    """In place of a tracer's `trace`: counts how many run at once, and reads until the file's end."""

    def __init__(self, tracer, seconds: float):
        self.trace_one, self.seconds = tracer.trace, seconds
        self.now = self.most = self.begun = 0
        self.cut = False

    def __call__(self, paths):
        self.now += 1
        self.begun += 1
        self.most = max(self.most, self.now)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end and not self.cut:
            self.cut = paths[0].stat().st_size == 0
            time.sleep(0.01)
        found = list(self.trace_one(paths))
        self.now -= 1
        return iter(found)


def test_one_trace_at_a_time(server, monkeypatch):
    slow = Slow(server.tracer, 0.2)
    monkeypatch.setattr(server.tracer, "trace", slow)
    found = []
    threads = [threading.Thread(target=lambda: found.append(server.trace(audio())[0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [200] * 3
    assert slow.most == 1


def begin(server, content: bytes, length: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    head = f"POST /trace HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def wait_for(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_who_goes_away_in_mid_upload_leaves_nothing(server):
    content = audio()
    connection = begin(server, content[:20_000], len(content))
    wait_for(lambda: any(server.folder.iterdir()))
    connection.close()
    server.wait_until_empty()


def test_who_goes_away_in_mid_trace_does_not_keep_others_waiting(server, monkeypatch):
    slow = Slow(server.tracer, 30)
    monkeypatch.setattr(server.tracer, "trace", slow)
    content = audio()
    first, second = begin(server, content, len(content)), begin(server, content, len(content))
    wait_for(lambda: slow.begun == 1 and len(list(server.folder.iterdir())) == 2)
    second.close()
    first.close()
    server.wait_until_empty()
    assert slow.cut
    assert slow.begun == 1  # whoever left before its turn has none


def test_a_fault_is_told_without_its_details(server, monkeypatch):
    def fail(_):
        raise RuntimeError("secret")

    monkeypatch.setattr(server.tracer, "trace", fail)
    status, headers, content = server.ask("/trace", audio())
    assert status == 500
    assert b"secret" not in content
    assert json.loads(content)["error"]
    assert headers["x-content-type-options"] == "nosniff"


def test_too_little_memory_is_told(server, monkeypatch):
    def fail(_):
        raise UserError("out of memory: trace with fewer models at once")

    monkeypatch.setattr(server.tracer, "trace", fail)
    assert server.trace(audio()) == (503, {"error": "out of memory: trace with fewer models at once"})
