"""Sources that a model was not trained on, enrolled from a few utterances: `MODEL/enrolled/NAME.safetensors`."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from srctrace import fewshot
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.provenance import sha256
from srctrace.tracing.member import Member, load_members
from srctrace.tracing.reading import read_ahead, usable_cores
from srctrace.tracing.segments import STDIN, find_audio

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
        UserError: the name cannot be, or is taken; a file cannot be read, or there is nothing in it; or a model has no
            decision file. Nothing is stored then.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r}: a source's name is up to 64 letters, digits, dots, dashes and underscores")
    if STDIN in inputs:
        raise UserError("enrol: standard input cannot be enrolled, as its digest is kept: name files")
    threads = threads or usable_cores()
    members = load_members(folders, device, threads)
    for member in members:
        if member.decision is None:
            raise UserError(f"{member.folder}: has no decision file, which enrolling needs: run the workflow again")
        if name in member.description.sources:
            raise UserError(f"{name!r}: {member.folder} was trained on a source of that name: take another")
        if _place(member, name).exists() and not replace:
            raise UserError(f"{_place(member, name)}: is enrolled: take another name, or give --replace")
    files = find_audio(inputs)
    projected: list[list[np.ndarray]] = [[] for _ in members]
    for piece in read_ahead(files, members[0].description.seconds, threads):
        if piece.error:
            raise UserError(piece.error)
        waves = [segment.samples for segment in piece.segments if not segment.silent]
        for member, found in zip(members, projected if waves else [], strict=bool(waves)):
            found.append(member.decision.project(member.run(member.front_end(np.stack(waves)))[0]))
    if not projected[0]:
        raise UserError("enrol: there is nothing but silence in the files")
    digests = {file: sha256(file) for file in files}
    for member, found in zip(members, projected, strict=True):
        _write(member, name, np.concatenate(found), digests)
    return sum(map(len, projected[0]))


def read_enrolled(members: Sequence[Member]) -> dict[str, list[np.ndarray]]:
    """The enrolled sources by name, sorted: a prototype `(m,)` for each model.

    Raises:
        UserError: one is damaged, was enrolled with other weights, or is not enrolled in all models.
    """
    names = {path.stem for member in members for path in (member.folder / FOLDER).glob("[!.]*.safetensors")}
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


def _made_with(member: Member) -> dict[str, str]:
    """What a prototype is good for: a model, and the space that its decision compares in."""
    space = hashlib.sha256(np.ascontiguousarray(member.decision.prototypes).tobytes()).hexdigest()
    return {"weights_sha256": member.digest, "prototypes_sha256": space}


def _write(member: Member, name: str, projected: np.ndarray, digests: dict[str, str]) -> None:
    metadata = _made_with(member) | {"segments": str(len(projected)), "files_sha256": json.dumps(digests)}
    prototype = np.ascontiguousarray(fewshot.enrol(projected), dtype=np.float32)
    with atomic_path(_place(member, name)) as temporary:
        save_file({"prototype": prototype}, temporary, metadata)


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
    return prototype
