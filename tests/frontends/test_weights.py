"""Having weights of SSL front-ends: from a server on loopback that speaks the hub's protocol, and from the cache."""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from huggingface_hub import constants

from srctrace.errors import UserError
from srctrace.frontends.catalogue import CHECKPOINTS
from srctrace.frontends.ssl import load_encoder
from srctrace.frontends.tiny import make_checkpoint
from srctrace.frontends.weights import locate, pin
from tests.frontends.hub_server import Hub, serve

NAME = "wav2vec2-xls-r-300m"
HUB = CHECKPOINTS[NAME].hub
COMMIT = CHECKPOINTS[NAME].revision
OTHER = "lab/other-speech-model"  # not in the catalogue
CARD = b"---\nlanguage: en\nlicense: cc-by-4.0\ntags:\n- speech\n---\n# A model\n"
ELSE = {  # what such repositories have beside: none of it is needed
    "flax_model.msgpack": b"f" * 20_000,
    "language_model/lm.binary": b"l" * 20_000,
    "vocab.json": b"{}",
    "tokenizer_config.json": b"{}",
    "README.md": CARD,
    ".gitattributes": b"*.bin filter=lfs\n",
}
WAVE = torch.sin(torch.arange(8000) / 20)[None]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "wav2vec2"
    make_checkpoint("wav2vec2", folder)
    return folder


@pytest.fixture(scope="module")
def files(tiny) -> dict[str, bytes]:
    """A checkpoint with safetensors."""
    return files_of(tiny)


@pytest.fixture(scope="module")
def fine_tuned(files) -> dict[str, bytes]:
    """As the older repositories: a model with a head, its weights in `pytorch_model.bin` under their names of then."""
    state = safetensors.torch.load(files["model.safetensors"])
    norm = "conv.parametrizations.weight.original"
    state = {
        "wav2vec2." + name.replace(f"{norm}0", "conv.weight_g").replace(f"{norm}1", "conv.weight_v"): tensor
        for name, tensor in state.items()
    }
    assert "wav2vec2.encoder.pos_conv_embed.conv.weight_g" in state
    config = json.loads(files["config.json"]) | {"architectures": ["Wav2Vec2ForCTC"]}
    saved = io.BytesIO()
    torch.save(state | {"lm_head.weight": torch.zeros(32, 24), "lm_head.bias": torch.zeros(32)}, saved)
    return {
        "config.json": json.dumps(config).encode(),
        "preprocessor_config.json": files["preprocessor_config.json"],
        "pytorch_model.bin": saved.getvalue(),
    }


@pytest.fixture
def hub():
    with serve() as running:
        yield running


@dataclass
class Machine:
    """A machine with a cache of its own, on which commands run as a user types them."""

    folder: Path
    hub: Hub

    @property
    def home(self) -> Path:
        return self.folder / "hf"

    def repository(self, name: str) -> Path:
        return self.home / "hub" / f"models--{name.replace('/', '--')}"

    def run(self, command: list[str], **variables: str) -> subprocess.CompletedProcess:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
        ours = {"HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.home)}
        return subprocess.run(
            command, cwd=self.folder, env=kept | ours | variables, capture_output=True, text=True, check=False
        )

    def fetch(self, checkpoint: str, *more: str, **variables: str) -> dict:
        done = self.try_to_fetch(checkpoint, *more, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads((self.folder / "pinned.json").read_text())

    def try_to_fetch(self, checkpoint: str, *more: str, **variables: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "srctrace", "fetch-weights", checkpoint, "--out", "pinned.json", *more]
        return self.run(command, **variables)

    def refusal(self, checkpoint: str, *more: str, **variables: str) -> str:
        done = self.try_to_fetch(checkpoint, *more, **variables)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr[done.stderr.index("srctrace fetch-weights: ") :]


@pytest.fixture
def machine(tmp_path, hub, monkeypatch) -> Machine:
    machine = Machine(tmp_path, hub)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(machine.home / "hub"))  # for what runs in this process
    return machine


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_listed_checkpoint_is_fetched_and_loads(machine, files, fine_tuned, tiny, name):
    """At the commit that is listed, and no more than is needed; the English one has both formats, others the older."""
    known = CHECKPOINTS[name]
    shape = fine_tuned | ({"model.safetensors": files["model.safetensors"]} if known.language == "en" else {})
    machine.hub.add(known.hub, ELSE | shape, known.revision)
    machine.hub.add(known.hub, {"config.json": b"{}"}, "f" * 40)  # a newer commit
    pinned = machine.fetch(name)
    weights = "model.safetensors" if known.language == "en" else "pytorch_model.bin"
    needed = {"config.json", "preprocessor_config.json", weights}
    assert pinned["revision"] == known.revision
    assert pinned["files"].keys() == needed
    assert {key: pinned[key] for key in ("architecture", "hidden_size", "n_layers", "sampling_rate", "licence")} == {
        "architecture": "wav2vec2",
        "hidden_size": 24,
        "n_layers": 3,
        "sampling_rate": 16000,
        "licence": "apache-2.0",
    }
    assert machine.hub.fetched() == needed | {"README.md"}
    load_encoder(locate(pinned), pinned, "last")
    model = transformers.AutoModel.from_pretrained(locate(pinned)).eval()
    original = transformers.AutoModel.from_pretrained(tiny).eval()
    with torch.inference_mode():
        torch.testing.assert_close(model(WAVE).last_hidden_state, original(WAVE).last_hidden_state)


@pytest.mark.parametrize("architecture", ["wav2vec2-base", "hubert", "wavlm", "wav2vec2-bert"])
def test_other_architectures(machine, tmp_path, architecture):
    make_checkpoint(architecture, tmp_path / "made")
    machine.hub.add(OTHER, files_of(tmp_path / "made") | {"README.md": CARD}, "a" * 40)
    pinned = machine.fetch(OTHER)
    assert pinned["checkpoint"] == OTHER
    assert pinned["architecture"] == architecture.removesuffix("-base")
    assert pinned["licence"] == "cc-by-4.0"
    transformers.AutoModel.from_pretrained(locate(pinned))


def test_a_second_time_needs_no_network_and_writes_the_same(machine, files):
    machine.hub.add(HUB, ELSE | files, COMMIT)
    first = machine.try_to_fetch(NAME)
    assert "licence: apache-2.0" in first.stdout
    assert "to fetch: 0.1 MB" in first.stdout
    content = (machine.folder / "pinned.json").read_bytes()
    asked = len(machine.hub.requests)
    assert "nothing to fetch" in machine.try_to_fetch(NAME).stdout
    assert len(machine.hub.requests) == asked
    (machine.folder / "pinned.json").unlink()
    machine.fetch(NAME, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:1")
    assert (machine.folder / "pinned.json").read_bytes() == content


def test_weights_in_parts(machine, files):
    state = safetensors.torch.load(files["model.safetensors"])
    names = sorted(state)
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {
        "metadata": {"total_size": 0},
        "weight_map": {name: part for half, part in zip(halves, parts, strict=True) for name in half},
    }
    shape = {name: files[name] for name in ("config.json", "preprocessor_config.json")}
    shape |= {"model.safetensors.index.json": json.dumps(index).encode(), "pytorch_model.bin": b"p" * 20_000}
    for half, part in zip(halves, parts, strict=True):
        shape[part] = safetensors.torch.save({name: state[name] for name in half}, {"format": "pt"})
    machine.hub.add(OTHER, ELSE | shape, "a" * 40)
    pinned = machine.fetch(OTHER)
    assert pinned["files"].keys() == shape.keys() - {"pytorch_model.bin"}
    transformers.AutoModel.from_pretrained(locate(pinned))
    (machine.repository(OTHER) / "snapshots" / ("a" * 40) / parts[1]).unlink()
    with pytest.raises(UserError, match=rf"{parts[1]}: missing: where there is internet.*fetch-weights {OTHER}"):
        locate(pinned)
    assert f"{parts[1]}: missing" in machine.refusal(OTHER, HF_HUB_OFFLINE="1")
    assert machine.fetch(OTHER) == pinned
    del machine.hub.repositories[OTHER].commits["a" * 40][parts[0]]
    shutil.rmtree(machine.home)
    assert f"{parts[0]}: missing" in machine.refusal(OTHER)


def test_a_damaged_file_is_noticed(machine, files):
    machine.hub.add(HUB, files, COMMIT)
    pinned = machine.fetch(NAME)
    for name in ("config.json", "model.safetensors"):  # known by git's sha1, by sha256
        path = machine.repository(HUB) / "snapshots" / COMMIT / name
        blob, content = path.resolve(), path.read_bytes()
        blob.write_bytes(content[:-1] + b"~")
        with pytest.raises(UserError, match=f"{name}: not the file that was pinned.*delete {blob}, and where there is"):
            locate(pinned)
        assert f"delete {blob} and run again" in machine.refusal(NAME)
        blob.unlink()  # as it says
        assert machine.fetch(NAME) == pinned
    locate(pinned)


def test_what_arrives_is_checked(machine, files):
    machine.hub.add(HUB, files, COMMIT, tampered=True)
    assert "model.safetensors: its sha256 is" in machine.refusal(NAME)
    assert not (machine.folder / "pinned.json").exists()


def test_a_connection_that_drops_is_taken_up_again(machine, files):
    machine.hub.add(HUB, files, COMMIT, drops=1)
    machine.fetch(NAME)
    assert machine.hub.repositories[HUB].drops == 0


def test_a_half_downloaded_cache(machine, files):
    """A killed download: the weights' blob has not its final name yet."""
    machine.hub.add(HUB, files, COMMIT)
    pinned = machine.fetch(NAME)
    blob = (machine.repository(HUB) / "snapshots" / COMMIT / "model.safetensors").resolve()
    (blob.parent / f"{blob.name}.incomplete").write_bytes(blob.read_bytes()[:50_000])
    blob.unlink()
    with pytest.raises(UserError, match=r"model.safetensors: its download has not finished: where there is internet"):
        locate(pinned)
    message = machine.refusal(NAME, HF_ENDPOINT="http://127.0.0.1:1")
    assert "not whole" in message
    assert "model.safetensors: its download has not finished" in message
    assert f"hf download {HUB} config.json" in message
    assert machine.fetch(NAME) == pinned
    assert locate(pinned).name == COMMIT


@pytest.mark.parametrize("variables", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:1"}])
def test_what_to_do_by_hand_works(machine, tmp_path, files, fine_tuned, variables):
    """The message's commands, run on another machine; what they bring is taken without network."""
    shape = files | {"pytorch_model.bin": fine_tuned["pytorch_model.bin"]} if "HF_ENDPOINT" in variables else fine_tuned
    machine.hub.add(HUB, ELSE | shape, COMMIT)
    message = machine.refusal(NAME, **variables)
    assert ("HF_HUB_OFFLINE is set" if "HF_HUB_OFFLINE" in variables else "refused") in message
    assert "HTTPS_PROXY" in message
    commands = [shlex.split(line) for line in message.splitlines() if line.startswith("  hf download ")]
    assert len(commands) == 2
    (tmp_path / "elsewhere").mkdir()
    other = Machine(tmp_path / "elsewhere", machine.hub)
    for command in commands:
        done = other.run([str(Path(sys.executable).with_name("hf")), *command[1:]])
        assert done.returncode == 0, done.stderr
    assert f"  rsync -a ~/.cache/huggingface/hub/{other.repository(HUB).name} HERE:{machine.home}/hub/" in message
    shutil.copytree(other.repository(HUB), machine.repository(HUB), symlinks=True)
    pinned = machine.fetch(NAME, **variables)
    assert pinned["revision"] == COMMIT
    locate(pinned)

    carried = other.folder / NAME
    in_folder = machine.fetch(str(carried), **variables)
    assert in_folder["files"] == pinned["files"]
    assert in_folder["revision"] is None
    assert in_folder["licence"] == "cc-by-4.0"  # the card's, as nothing says that it is the listed checkpoint
    assert locate(in_folder) == carried
    weights = next(carried / name for name in pinned["files"] if name.startswith(("model", "pytorch")))
    weights.write_bytes(weights.read_bytes()[:-100])
    assert f"{weights}: its sha256 is" in machine.refusal(str(carried))
    (carried / ".cache" / "huggingface" / "download" / "x.incomplete").write_bytes(b"")
    assert "has not finished: run `hf download` again" in machine.refusal(str(carried))


def test_main_is_pinned_when_first_fetched_and_held(machine, files):
    machine.hub.add(OTHER, files, "a" * 40)
    pinned = machine.fetch(OTHER)
    assert pinned["revision"] == "a" * 40
    moved = files | {"config.json": files["config.json"].replace(b'"wav2vec2"', b'"wav2vec2" ')}
    machine.hub.add(OTHER, moved, "b" * 40)
    assert machine.fetch(OTHER) == pinned
    shutil.rmtree(machine.home)
    assert machine.fetch(OTHER) == pinned  # by what was pinned
    (machine.folder / "pinned.json").unlink()
    newer = machine.fetch(OTHER)
    assert newer["revision"] == "b" * 40
    (machine.folder / "pinned.json").unlink()
    machine.hub.add(OTHER, files, "c" * 40)
    assert machine.fetch(OTHER) == newer  # by the cache
    assert machine.fetch(OTHER, "--revision", "a" * 40) == pinned


@pytest.mark.parametrize("place", ["portal", "down"])
def test_something_else_answers(machine, place):
    """A page to log in, as of a hotel; a mirror that is out of order."""
    message = machine.refusal(NAME, HF_ENDPOINT=f"{machine.hub.url}/{place}")
    assert "cannot be fetched: " in message
    assert "  hf download " in message


def test_unknown_names(machine, files):
    machine.hub.add(HUB, files, COMMIT)
    message = machine.refusal("facebok/wav2vec2-large-lv-60")
    assert "no such checkpoint, or it is private: then set HF_TOKEN" in message
    assert "facebook/wav2vec2-large-lv60" in message
    message = machine.refusal("wav2vec2-xlsr-300m")
    assert "name one as OWNER/NAME" in message
    assert HUB in message
    assert "no such folder" in machine.refusal("data/models/x")
    assert f"has no revision {'d' * 40}" in machine.refusal(NAME, "--revision", "d" * 40)


def test_a_checkpoint_whose_owner_wants_to_be_asked(machine, files):
    machine.hub.add(OTHER, files, "a" * 40, gated=True)
    message = machine.refusal(OTHER)
    assert "accept the conditions" in message
    assert "HF_TOKEN" in message
    machine.fetch(OTHER, HF_TOKEN="hf_secret")


@pytest.mark.parametrize(
    ("changed", "of_hub", "of_folder"),
    [
        (
            {"config.json": b'{"model_type": "bert", "hidden_size": 8}'},
            "model_type is 'bert': a front-end is one of",
            "",
        ),
        ({"config.json": b'{"model_type": "wav2vec2"}'}, "has no hidden_size and num_hidden_layers", ""),
        ({"config.json": b"<html>"}, "config.json: not a JSON object", ""),
        ({"preprocessor_config.json": b'{"sampling_rate": 8000}'}, "listens at 8000 Hz, audio here has 16000", ""),
        ({"preprocessor_config.json": None}, "preprocessor_config.json: missing", ""),
        ({"config.json": None}, "has no config.json with model.safetensors", "config.json: missing"),
        ({"model.safetensors": None}, "model.safetensors or pytorch_model.bin", "neither model.safetensors nor"),
    ],
)
def test_what_is_no_front_end_is_refused(machine, tmp_path, files, changed, of_hub, of_folder):
    """From the hub, before its weights come, and as a folder."""
    shape = {name: content for name, content in (files | changed).items() if content is not None}
    machine.hub.add(OTHER, shape, "a" * 40)
    assert of_hub in machine.refusal(OTHER)
    assert "model.safetensors" not in machine.hub.fetched()
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in shape.items():
        (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=of_folder or of_hub):
        pin(str(folder), "main", tmp_path / "pinned.json")
    assert not (tmp_path / "pinned.json").exists()


def test_a_folder(tmp_path, tiny):
    folder, out = tmp_path / "checkpoint", tmp_path / "pinned.json"
    shutil.copytree(tiny, folder)
    pin(str(folder), "main", out)
    pinned = json.loads(out.read_text())
    assert pinned["checkpoint"] == str(folder)
    assert pinned["revision"] is None
    assert pinned["licence"] == "not stated"
    assert locate(pinned) == folder
    safe = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(safe[:-1] + b"~")
    with pytest.raises(UserError, match=r"not the file that was pinned.*-R fetch_checkpoint"):
        locate(pinned)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model.safetensors: missing: put the folder of the checkpoint there again"):
        locate(pinned)


def test_weights_that_transformers_would_take_before_the_pinned_ones(tmp_path, files, fine_tuned):
    folder, out = tmp_path / "checkpoint", tmp_path / "pinned.json"
    folder.mkdir()
    for name, content in fine_tuned.items():
        (folder / name).write_bytes(content)
    pin(str(folder), "main", out)
    (folder / "model.safetensors").write_bytes(files["model.safetensors"])
    with pytest.raises(UserError, match="has other weights than those that were pinned"):
        locate(json.loads(out.read_text()))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("flax_model.msgpack", b"f", "no weights: .*; flax_model.msgpack cannot be read"),
        ("xlsr_53_56k.pt", b"f", "no weights: .*; xlsr_53_56k.pt cannot be read"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../other.safetensors"}}', "not an index of weights"),
        ("model.safetensors.index.json", b'{"weight_map": {}}', "not an index of weights"),
    ],
)
def test_folders_without_weights(tmp_path, files, name, content, message):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for given in ("config.json", "preprocessor_config.json"):
        (folder / given).write_bytes(files[given])
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        pin(str(folder), "main", tmp_path / "pinned.json")


def test_a_cache_without_links(machine, files):
    """As copied to a disk that has none: what was published is not known, what was pinned is."""
    machine.hub.add(HUB, files, COMMIT)
    pinned = machine.fetch(NAME)
    snapshot = machine.repository(HUB) / "snapshots" / COMMIT
    for path in list(snapshot.iterdir()):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    shutil.rmtree(machine.repository(HUB) / "blobs")
    assert machine.fetch(NAME, HF_HUB_OFFLINE="1") == pinned
    locate(pinned)
    (snapshot / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"not the file that was pinned"):
        locate(pinned)
