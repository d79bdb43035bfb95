"""The folder of a checkpoint, as transformers and the hub lay it out: which of its files are needed, what it is."""

import fnmatch
import json
import os
import re
from collections.abc import Collection
from pathlib import Path

from srctrace.audio import SAMPLE_RATE
from srctrace.download.hub import DOWNLOADED
from srctrace.download.verify import digest_of
from srctrace.errors import UserError

CONFIG = "config.json"
EXTRACTOR = "preprocessor_config.json"  # what the model takes: normalised or not, at which sample rate
CARD = "README.md"
ARCHITECTURES = (
    "wav2vec2",
    "hubert",
    "wavlm",
    "wav2vec2-bert",
)  # `model_type` of those that are tested; XLS-R: wav2vec2
FORMATS = (("model", "safetensors"), ("pytorch_model", "bin"))  # in the order in which transformers takes them
STUB = b"version https://git-lfs"  # what a clone without git-lfs has in place of a large file


def weights_among(names: Collection[str]) -> list[str]:
    """Files of the weights among a checkpoint's files, in one format: one file, or an index and its parts."""
    for stem, suffix in FORMATS:
        whole = f"{stem}.{suffix}"
        if whole in names:
            return [whole]
        if f"{whole}.index.json" in names:
            return [f"{whole}.index.json", *sorted(fnmatch.filter(names, f"{stem}-*-of-*.{suffix}"))]
    return []


def needed_files(folder: Path) -> list[str]:
    """Names of the files that make the checkpoint: config, feature extractor, weights. All of them are there.

    Raises:
        UserError: one is not, or there are no weights in a format that is read.
    """
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    weights = weights_among(names)
    if not weights:
        others = [name for name in names if name.endswith((".msgpack", ".h5", ".pt", ".pth", ".ckpt", ".onnx", ".pkl"))]
        has = f"; {', '.join(others)} cannot be read" if others else ""
        raise UserError(f"{folder}: has no weights: neither model.safetensors nor pytorch_model.bin{has}")
    if weights[0].endswith(".index.json"):
        weights = [weights[0], *_parts(folder / weights[0])]
    needed = [CONFIG, EXTRACTOR, *weights]
    for name in needed:
        if not (folder / name).is_file():
            half = "its download has not finished" if (folder / name).is_symlink() else "missing"
            raise UserError(f"{folder / name}: {half}")
    return needed


def describe(folder: Path) -> dict[str, object]:
    """What a checkpoint is: `architecture`, `hidden_size`, `n_layers` of its transformer, `sampling_rate` in Hz.

    Raises:
        UserError: it is no speech model of `ARCHITECTURES`, or listens at another rate than all audio here has.
    """
    config = _read_json(folder / CONFIG)
    architecture = config.get("model_type")
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"{folder / CONFIG}: model_type is {architecture!r}: a front-end is one of {', '.join(ARCHITECTURES)}: "
            "name another checkpoint"
        )
    rate = _read_json(folder / EXTRACTOR).get("sampling_rate")
    if rate != SAMPLE_RATE:
        raise UserError(
            f"{folder / EXTRACTOR}: the checkpoint listens at {rate} Hz, audio here has {SAMPLE_RATE}: "
            "name another checkpoint"
        )
    sizes = {"hidden_size": config.get("hidden_size"), "n_layers": config.get("num_hidden_layers")}
    if not all(isinstance(size, int) and size > 0 for size in sizes.values()):
        raise UserError(f"{folder / CONFIG}: has no hidden_size and num_hidden_layers: not a config of transformers")
    return {"architecture": architecture, **sizes, "sampling_rate": rate}


def licence_of(folder: Path) -> str:
    """The licence that a checkpoint's card states; empty if there is no card, or it states none."""
    try:
        _, front, _ = (folder / CARD).read_text(encoding="utf-8", errors="replace").split("---", 2)
    except (FileNotFoundError, ValueError):
        return ""
    stated = re.search(r"^license:[ \t]*(\S.*?)\s*$", front, re.MULTILINE)
    return stated[1].strip("\"'") if stated else ""


def checked_digest(path: Path) -> str:
    """The digest of a checkpoint's file, `sha256:…`, after a check against what the hub published, where that is noted.

    Raises:
        UserError: it is not what the hub published.
    """
    with path.open("rb") as file:
        if file.read(len(STUB)) == STUB:
            raise UserError(f"{path}: holds no weights but a note of git-lfs: run `git lfs pull` in its folder")
    sha256 = digest_of(path, "sha256")
    expected = _published(path)
    kind = {64: "sha256", 40: "git-sha1"}.get(len(expected))
    if kind:
        found = sha256 if kind == "sha256" else digest_of(path, kind)
        if found != expected:
            raise UserError(
                f"{path}: its {kind} is {found}, the hub published {expected}: it is damaged or was changed: delete "
                f"{path.resolve()} and run again"
            )
    return f"sha256:{sha256}"


def _published(path: Path) -> str:
    """The digest that the hub gave for a file, sha256 or git's sha1 in hex; empty where none is noted.

    A cache keeps a file under this digest, and a snapshot links to it; `hf download --local-dir` notes it beside.
    """
    note = path.parent / DOWNLOADED / f"{path.name}.metadata"
    if path.is_symlink():
        digest = Path(os.readlink(path)).name
    elif note.is_file():
        digest = [*note.read_text().split(), "", ""][1]
    else:
        digest = ""
    return digest if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", digest) else ""


def _parts(index: Path) -> list[str]:
    """Names of the files that an index of weights spreads them over."""
    parts = _read_json(index).get("weight_map")
    names = sorted(set(parts.values())) if isinstance(parts, dict) and parts else []
    if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise UserError(f"{index}: not an index of weights: delete it and fetch it again")
    return names


def _read_json(path: Path) -> dict:
    if not path.is_file():
        raise UserError(f"{path}: missing: a checkpoint of transformers has it")
    checked_digest(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object: delete it and fetch it again")
    return content
