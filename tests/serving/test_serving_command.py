"""`srctrace serve` as it is run."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from srctrace.cli import main
from tests.serving.making import audio


@contextmanager
def served(model, folder):
    """The process, and its address."""
    command = [sys.executable, "-m", "srctrace", "serve", "--model", str(model), "--port", "0", "--device", "cpu"]
    environment = os.environ | {"TMPDIR": str(folder)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/ \(Ctrl-C stops it\)\n", line), process.stderr.read()
        yield process, line.partition(" ")[0]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_also_in_mid_upload(model, tmp_path, end):
    with served(model, tmp_path) as (process, address):
        with urllib.request.urlopen(address + "trace", audio()) as answer:
            assert answer.status == 200
        port = int(address.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as upload:
            upload.sendall(b"POST /trace HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nRIFF")
            while not list(tmp_path.glob("srctrace-*/*")):
                assert process.poll() is None
            process.send_signal(end)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def refused(capsys, *arguments: str) -> str:
    assert main(["serve", *arguments]) == 2
    return capsys.readouterr().err


def test_a_port_in_use_is_told(model, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is in use" in refused(capsys, "--model", str(model), "--port", str(port))


def test_what_is_missing_is_told(model, tmp_path, capsys, monkeypatch):
    assert "no such file" in refused(capsys, "--model", str(model), "--report", str(tmp_path / "report.html"))
    assert "nothing: no" in refused(capsys, "--model", str(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'srctrace[serve]'" in refused(capsys, "--model", str(model))


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_is_a_number_that_can_be(port, capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--model", "m", "--port", port])
    assert "port" in capsys.readouterr().err
