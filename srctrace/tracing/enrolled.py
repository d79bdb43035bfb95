"""Sources that a model was not trained on, enrolled from a few utterances: `MODEL/enrolled/NAME.safetensors`."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from srctrace import fewshot
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.provenance import sha256
from srctrace.tracing.member import Member, load_members
from srctrace.tracing.reading import read_ahead, usable_cores
from srctrace.tracing.segments import find_audio, is_stream
from srctrace.tracing.text import shown

FOLDER = "enrolled"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def enrol(
    name: str,
    inputs: Sequence[str | os.PathLike],
    folders: Sequence[str | os.PathLike],
    replace: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> int:
    """Have the models in `folders` know the source `name` from now on; returns the number of segments it is made of.

    Args:
        inputs: files and folders of audio of that source: see `segments.find_audio`. Silent segments are left out.
        replace: in place of one that was enrolled by that name before.
        device, threads: as in `Tracer.load`.

    Raises:
        UserError: the name cannot be, or is taken; a file cannot be read, or but once, or there is nothing in it; or a
            model has no decision file, or cannot be written to. Nothing is stored then, in any model.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r}: a source's name is up to 64 letters, digits, dots, dashes and underscores")
    files = find_audio(inputs)
    if any(map(is_stream, files)):
        raise UserError("standard input and named pipes cannot be enrolled, as their digest is kept: name files")
    threads = threads or usable_cores()
    members = load_members(folders, device, threads)
    for member in members:
        if member.decision is None:
            raise UserError(f"{member.folder}: has no decision file, which enrolling needs: run the workflow again")
        if name in member.description.sources:
            raise UserError(f"{name!r}: {member.folder} was trained on a source of that name: take another")
        if _place(member, name).exists() and not replace:
            raise UserError(f"{_place(member, name)}: is enrolled: take another name, or give --replace")
        _require_writable(member)
    projected: list[list[np.ndarray]] = [[] for _ in members]
    for piece in read_ahead(files, members[0].description.seconds, threads):
        if piece.error:
            raise UserError(shown(piece.error))
        waves = [segment.samples for segment in piece.segments if not segment.silent]
        for member, found in zip(members, projected if waves else [], strict=bool(waves)):
            found.append(member.decision.project(member.run(member.front_end(np.stack(waves)))[0]))
    if not projected[0]:
        raise UserError("there is nothing but silence in the files")
    digests = {file: sha256(file) for file in files}
    with ExitStack() as all_or_none:  # each is renamed when all are written
        for member, found in zip(members, projected, strict=True):
            temporary = all_or_none.enter_context(atomic_path(_place(member, name)))
            temporary.write_bytes(_content(member, np.concatenate(found), digests))
    return sum(map(len, projected[0]))


def read_enrolled(members: Sequence[Member]) -> dict[str, list[np.ndarray]]:
    """The enrolled sources by name, sorted: a prototype `(m,)` for each model.

    Raises:
        UserError: one is damaged, has a name that cannot be, was enrolled with other weights, or is not enrolled in all
            models.
    """
    paths = [path for member in members for path in sorted((member.folder / FOLDER).glob("[!.]*.safetensors"))]
    for path in paths:
        if not NAME.fullmatch(path.stem):
            raise UserError(f"{shown(str(path))}: its name is no source's: delete it, and enrol by another name")
    names = {path.stem for path in paths}
    return {name: [_read(member, name) for member in members] for name in sorted(names)}


def winner(known: float, enrolled: np.ndarray, margins: np.ndarray) -> int | None:
    """Which enrolled source it is, if it is one.

    It is one if its similarity, less the margin, is above that to every source that the models were trained on: see
    `fewshot.margins`. Of several, it is that of the largest.

    Args:
        known: the similarity to the nearest source that the models were trained on.
        enrolled: `(e,)` to those enrolled. Of a file, both are means over its segments.
        margins: `(e,)`.
    """
    if not len(enrolled):
        return None
    best = int(np.argmax(enrolled - margins))
    return best if enrolled[best] - margins[best] > known else None


def _place(member: Member, name: str) -> Path:
    return member.folder / FOLDER / f"{name}.safetensors"


def _require_writable(member: Member) -> None:
    """Raises UserError where nothing can be stored beside the model."""
    folder = member.folder / FOLDER
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: no folder, where enrolled sources are kept: move it away")
    there = folder if folder.exists() else member.folder
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{there}: cannot be written to: enrol in a copy of the model")


def _made_with(member: Member) -> dict[str, str]:
    """What a prototype is good for: a model, and the space that its decision compares in."""
    space = hashlib.sha256(np.ascontiguousarray(member.decision.prototypes).tobytes()).hexdigest()
    return {"weights_sha256": member.digest, "prototypes_sha256": space}


def _content(member: Member, projected: np.ndarray, digests: dict[str, str]) -> bytes:
    """Of the file of a source of which there are `(n, m)` projected segments."""
    metadata = _made_with(member) | {"segments": str(len(projected)), "files_sha256": json.dumps(digests)}
    prototype = np.ascontiguousarray(fewshot.enrol(projected), dtype=np.float32)
    return save({"prototype": prototype}, metadata)


def _read(member: Member, name: str) -> np.ndarray:
    path = _place(member, name)
    again = f"srctrace enrol {name} FILE… --model {member.folder} --replace"
    try:
        with safe_open(path, framework="np") as file:
            metadata, prototype = file.metadata() or {}, file.get_tensor("prototype")
    except FileNotFoundError:
        raise UserError(f"{path}: {name} is enrolled in another model, but not in this: {again}") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: damaged ({error}): {again}") from None
    if any(metadata.get(key) != value for key, value in _made_with(member).items()):
        raise UserError(f"{path}: enrolled with another model, or before its decision was fitted anew: {again}")
    expected = member.decision.prototypes.shape[1:]
    if prototype.shape != expected or not np.isfinite(prototype).all():
        raise UserError(f"{path}: damaged (no {expected[0]} finite numbers): {again}")
    return prototype
