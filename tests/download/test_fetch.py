"""HTTP against a real server on loopback that truncates, stalls, redirects, refuses and drops connections."""

import hashlib
import random
import socket

import pytest

from srctrace.download.catalogue import File
from srctrace.download.fetch import Host, HostError, Patience
from srctrace.errors import UserError

CONTENT = random.Random(0).randbytes(500_000)
QUICK = Patience(attempts=3, pause=0.01, timeout=0.5)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


def fetch(server, path, name="/a.zip", size=None, digest="", patience=QUICK) -> list[int]:
    moves = []
    Host(patience).fetch(File("a.zip", server.url + name, size, digest), path, moves.append)
    return moves


def leftovers(tmp_path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["drop:200000"],
        ["stall:200000"],
        [503],
        [429, 500],
        ["drop:0"],
        ["drop:100000", 503, "stall:100000", "drop:0", "drop:70000"],
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_it_comes_whole_whatever_passes(server, tmp_path, faults, known):
    server.files["/a.zip"] = CONTENT
    server.faults["/a.zip"] = list(faults)
    path = tmp_path / "a.zip"
    moves = fetch(server, path, size=len(CONTENT) if known else None, digest=MD5 if known else "")
    assert path.read_bytes() == CONTENT
    assert sum(moves) == len(CONTENT)
    assert leftovers(tmp_path) == ["a.zip"]
    assert len(server.gets("/a.zip")) == len(faults) + 1


def test_it_goes_on_where_it_broke_off_also_in_another_run(server, tmp_path):
    server.files["/a.zip"] = CONTENT
    server.faults["/a.zip"] = ["drop:300000", 503, 503, 503]
    path = tmp_path / "a.zip"
    with pytest.raises(HostError, match="no success in 3 attempts"):
        fetch(server, path)
    kept = (tmp_path / "a.zip.partial").stat().st_size
    assert 200_000 < kept <= 300_000
    assert not path.exists()
    moves = fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.gets("/a.zip")[-1]["Range"] == f"bytes={kept}-"
    assert moves[0] == kept
    assert min(moves) >= 0


def test_a_file_that_changed_meanwhile_is_not_continued(server, tmp_path):
    server.files["/a.zip"] = CONTENT
    server.faults["/a.zip"] = ["drop:300000", 503, 503, 503]
    with pytest.raises(HostError):
        fetch(server, tmp_path / "a.zip")
    server.files["/a.zip"] = CONTENT[::-1]
    moves = fetch(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT[::-1]
    assert sum(moves) == len(CONTENT)


@pytest.mark.parametrize("lacks", ["ranges", "tags"])
def test_a_server_without_ranges_or_versions_begins_anew(server, tmp_path, lacks):
    setattr(server, lacks, False)
    server.files["/a.zip"] = CONTENT
    server.faults["/a.zip"] = ["drop:300000"]
    fetch(server, tmp_path / "a.zip", digest=MD5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    if lacks == "tags":
        assert "Range" not in server.gets("/a.zip")[-1]


def test_all_was_there_but_not_yet_named(server, tmp_path):
    """Killed between the last byte and the renaming: the range asked for is empty."""
    server.files["/a.zip"] = CONTENT
    (tmp_path / "a.zip.partial").write_bytes(CONTENT)
    (tmp_path / "a.zip.partial.version").write_text(f'"{MD5[4:]}"')
    fetch(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.gets("/a.zip")[0]["Range"] == f"bytes={len(CONTENT)}-"


def test_what_is_longer_than_the_file_is_thrown_away(server, tmp_path):
    server.files["/a.zip"] = CONTENT
    (tmp_path / "a.zip.partial").write_bytes(CONTENT + b"more")
    (tmp_path / "a.zip.partial.version").write_text(f'"{MD5[4:]}"')
    fetch(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server, tmp_path, status):
    server.files["/a.zip"] = CONTENT
    server.faults["/a.zip"] = [status]
    with pytest.raises(HostError, match=f"a.zip: {status}"):
        fetch(server, tmp_path / "a.zip")
    assert len(server.gets("/a.zip")) == 1
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("fault", [503, "stall:0", "drop:0"])
def test_what_does_not_pass_ends(server, tmp_path, fault):
    server.files["/a.zip"] = CONTENT
    server.faults["/a.zip"] = [fault] * 10
    with pytest.raises(HostError, match="no success in 3 attempts"):
        fetch(server, tmp_path / "a.zip")
    assert len(server.gets("/a.zip")) == 3
    assert not (tmp_path / "a.zip").exists()


def test_nobody_listens(tmp_path, server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.zip"
    with pytest.raises(HostError, match=r"no success in 3 attempts .* refused"):
        Host(QUICK).fetch(File("a.zip", url), tmp_path / "a.zip", lambda _: None)


def test_a_server_is_given_the_time_it_asks_for(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr("srctrace.download.fetch.time.sleep", pauses.append)
    server.files["/a.zip"] = CONTENT
    server.faults["/a.zip"] = [503, "drop:100000"]
    server.answers["/a.zip"] = {"Retry-After": "7"}
    fetch(server, tmp_path / "a.zip")
    assert pauses == [7, 0.01]


def test_a_truncated_file_is_refused_and_not_kept(server, tmp_path):
    """It says that it is whole, and is not what was published."""
    server.files["/a.zip"] = CONTENT
    server.faults["/a.zip"] = ["short:400000"]
    with pytest.raises(HostError, match="has 400000 bytes, 500000 are expected"):
        fetch(server, tmp_path / "a.zip", size=len(CONTENT))
    assert leftovers(tmp_path) == []


def test_a_tampered_file_is_refused_and_not_kept(server, tmp_path):
    server.files["/a.zip"] = CONTENT[:-1] + b"x"
    with pytest.raises(HostError, match=f"where {MD5[4:]} is expected"):
        fetch(server, tmp_path / "a.zip", size=len(CONTENT), digest=MD5)
    assert leftovers(tmp_path) == []


def test_a_page_instead_of_a_file_is_refused(server, tmp_path):
    server.files["/a.zip"] = b"<html>log in</html>"
    server.answers["/a.zip"] = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(HostError, match="a web page came"):
        fetch(server, tmp_path / "a.zip")


def test_redirections_are_followed_and_end(server, tmp_path):
    server.files["/b"] = CONTENT
    server.faults["/b"] = ["drop:100000"]
    server.redirects |= {"/a.zip": "/there", "/there": server.url + "/b", "/round": "/round"}
    fetch(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    with pytest.raises(HostError, match="redirects"):
        fetch(server, tmp_path / "c.zip", name="/round")


def test_compression_on_the_way_is_not_undone(server, tmp_path):
    """Some servers call a .tar.gz an encoding; the file is what was published."""
    server.files["/a.zip"] = CONTENT
    server.answers["/a.zip"] = {"Content-Encoding": "x-gzip"}
    fetch(server, tmp_path / "a.zip", size=len(CONTENT), digest=MD5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_file_put_there_by_hand_needs_no_network(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(CONTENT)
    nowhere = File("a.zip", "http://127.0.0.1:1/a.zip", len(CONTENT), MD5)
    Host(QUICK).fetch(nowhere, path, lambda _: None)
    path.write_bytes(CONTENT[:-7])
    with pytest.raises(UserError, match="499993 bytes, where 500000 are expected"):
        Host(QUICK).fetch(nowhere, path, lambda _: None)
    path.write_bytes(b"x" + CONTENT[1:])
    with pytest.raises(UserError, match="its md5 is"):
        Host(QUICK).fetch(nowhere, path, lambda _: None)
    assert path.exists()


def test_headers_of_a_log_in_stay_with_their_host(server, tmp_path):
    server.files["/b"] = CONTENT
    server.redirects["/a.zip"] = server.url.replace("127.0.0.1", "localhost") + "/b"
    host = Host(QUICK, {"Authorization": "Bearer secret"})
    host.fetch(File("a.zip", server.url + "/a.zip"), tmp_path / "a.zip", lambda _: None)
    assert server.gets("/a.zip")[0]["Authorization"] == "Bearer secret"
    assert "Authorization" not in server.gets("/b")[0]


def test_it_goes_through_the_proxy_of_the_environment(server, tmp_path, monkeypatch):
    """The name is known to nobody; the proxy is asked for the whole address."""
    server.files["/a.zip"] = CONTENT
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    url = "http://files.example.invalid/a.zip"
    Host(QUICK).fetch(File("a.zip", url), tmp_path / "a.zip", lambda _: None)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert [path for _, path, _ in server.requests] == [url]


@pytest.mark.parametrize(("tell", "size"), [(True, len(CONTENT)), (False, None)])
def test_the_size_is_asked_for_first(server, tell, size):
    if tell:
        server.files["/a.zip"] = CONTENT
    assert Host(QUICK).size(File("a.zip", server.url + "/a.zip")) == size


def test_another_size_than_published_is_refused_before_anything_comes(server):
    server.files["/a.zip"] = CONTENT
    with pytest.raises(HostError, match="another file"):
        Host(QUICK).size(File("a.zip", server.url + "/a.zip", len(CONTENT) + 1))
