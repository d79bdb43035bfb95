"""Models on the hub: pushed to, and had from, a server on loopback that speaks its protocol, by the real client."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from srctrace.checkpoint import load_checkpoint
from srctrace.errors import UserError
from srctrace.sharing import resolve
from srctrace.sharing.hub import push
from tests.sharing.hub_server import FIRST, READS, WRITES, Hub, serve
from tests.sharing.making import decide, make_model

NAME = "lab/tracer"
FILES = {"README.md", "metrics.json", "model.json", "model.safetensors"}


@pytest.fixture
def hub():
    with serve() as running:
        yield running


@pytest.fixture
def client(hub, tmp_path, monkeypatch) -> Hub:
    """The hub, as the client in this process knows it from its environment."""
    reach(monkeypatch, hub.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the server has no chunks
    monkeypatch.setenv("HF_TOKEN", WRITES)
    monkeypatch.chdir(tmp_path)
    return hub


def reach(monkeypatch, url: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def model(tmp_path) -> Path:
    return make_model(tmp_path / "model")


def files_of(hub: Hub, name: str = NAME) -> dict[str, bytes]:
    repository = hub.repositories[name]
    return repository.commits[repository.resolve("main")]


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_goes_there_and_back_by_the_command_line(hub, model, tmp_path):
    """With the environment alone to say where the hub is and who asks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    ours = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": WRITES}

    def run(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=tmp_path, env=kept | ours, capture_output=True, text=True, check=False)

    done = run("-m", "srctrace", "push", "model", NAME, "--private", "--licence", "cc-by-nc-4.0")
    assert done.returncode == 0, done.stderr
    assert hub.created[NAME]["visibility"] == "private"
    (first, commit) = hub.repositories[NAME].commits
    assert first == FIRST
    assert done.stdout == f"{NAME}: commit {commit}\n"
    there = files_of(hub)
    assert set(there) == FILES | {".gitattributes"}
    assert there["model.safetensors"] == (model / "model.safetensors").read_bytes()
    assert b"license: cc-by-nc-4.0\n" in there["README.md"]
    assert f"--model {NAME}".encode() in there["README.md"]

    done = run("-c", f"import srctrace.sharing as sharing; print(sharing.resolve('{NAME}'))")
    assert done.returncode == 0, done.stderr
    assert f"{NAME}: commit {commit}\n" in done.stderr
    folder = Path(done.stdout.strip())
    assert (folder / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert load_checkpoint(folder)[1] == load_checkpoint(model)[1]


def test_only_what_belongs_to_a_model_is_fetched(client, model):
    push(model, NAME, "other")
    client.add(NAME, files_of(client) | {"onnx/backend.onnx": b"o", "notes.txt": b"n", "old.pth": b"p"}, "a" * 40)
    assert {path.name for path in resolve(NAME).iterdir()} == FILES
    assert client.fetched() == FILES


def test_a_revision_is_held(client, model, capsys):
    first = push(model, NAME, "other")
    second = push(model, NAME, "cc-by-4.0")
    assert resolve(f"{NAME}@{first}").name == first
    assert "license: other" in (resolve(f"{NAME}@{first}") / "README.md").read_text()
    assert resolve(NAME).name == second
    assert capsys.readouterr().err.endswith(f"{NAME}: commit {second}\n")


def test_a_push_is_one_commit_and_leaves_nothing_of_the_model_before(client, model, tmp_path):
    decide(model, tmp_path / "enrolled-from" / "a.wav")
    push(model, NAME, "other")
    assert set(files_of(client)) == FILES | {".gitattributes", "decision.safetensors", "enrolled/new.safetensors"}
    client.add(NAME, files_of(client) | {"onnx/backend.onnx": b"o", "notes.txt": b"n"}, "a" * 40)
    (model / "decision.safetensors").unlink()
    shutil.rmtree(model / "enrolled")
    push(model, NAME, "other")
    assert client.commits == 2
    assert (model / "model.safetensors").read_bytes() in client.uploads.values()  # as large files are
    assert set(files_of(client)) == FILES | {".gitattributes", "notes.txt"}


def test_what_was_fetched_is_had_without_the_hub(client, model, monkeypatch, capsys):
    commit = push(model, NAME, "other")
    folder = resolve(NAME)
    count = len(client.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert resolve(NAME) == folder
    assert len(client.requests) == count
    assert f"commit {commit}" in capsys.readouterr().err
    message = refusal(resolve, "lab/other")
    assert message.startswith("lab/other: cannot be fetched: HF_HUB_OFFLINE is set")


def test_a_folder_is_meant_before_a_name(client, model):
    push(model, NAME, "other")
    make_model(Path(NAME))
    assert resolve(NAME) == Path(NAME)
    push(model, NAME, "cc-by-4.0")  # where it goes to is a name in any case
    assert resolve(str(model)) == model


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "./lab/tracer", "/no/such", "lab/tracer/@main"])
def test_what_is_neither_is_refused_with_both_forms(client, name):
    message = refusal(resolve, name)
    assert "a folder that exists, or OWNER/NAME or OWNER/NAME@REVISION of the hub" in message
    assert not client.requests


def test_what_the_hub_does_not_have_is_said(client, model):
    assert "a folder that exists, or OWNER/NAME" in refusal(resolve, "results/model")
    push(model, NAME, "other")
    assert refusal(resolve, f"{NAME}@v2").startswith(f"{NAME}: has no revision v2: see https://")
    assert "then set HF_TOKEN" in refusal(resolve, "lab/none")


def test_an_owner_who_wants_to_be_asked_is(client, model, monkeypatch):
    push(model, NAME, "other")
    client.repositories[NAME].gated = True
    monkeypatch.setenv("HF_TOKEN", "")
    assert f"accept the conditions at https://huggingface.co/{NAME}, and set HF_TOKEN" in refusal(resolve, NAME)


@pytest.mark.parametrize(
    ("token", "name", "message"),
    [
        ("", NAME, "the hub does not know you: set HF_TOKEN"),
        (READS, NAME, "your token must be one that may write, and you a member of lab"),
        (WRITES, "nobody/tracer", "the hub has no owner nobody"),
    ],
)
def test_a_push_that_is_refused_says_what_to_do(client, model, monkeypatch, token, name, message):
    monkeypatch.setenv("HF_TOKEN", token)
    said = refusal(push, model, name, "other")
    assert said.startswith(f"{name}: cannot be pushed: ")
    assert message in said
    assert not client.repositories


@pytest.mark.parametrize("name", ["tracer", "a/b/c", "lab/.x"])
def test_a_push_needs_a_name(client, model, name):
    assert "give OWNER/NAME" in refusal(push, model, name, "other")


def test_without_network_both_say_how_else(client, model, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        reach(monkeypatch, f"http://127.0.0.1:{free.getsockname()[1]}")  # nobody listens
        said = refusal(push, model, NAME, "other")
        assert (
            f"`srctrace export` it, and on a machine that reaches https://huggingface.co, run `hf upload {NAME}" in said
        )
        said = refusal(resolve, NAME)
        assert "HTTPS_PROXY; HF_ENDPOINT names a mirror; or on a machine that reaches" in said
        assert f"`hf download {NAME}" in said
