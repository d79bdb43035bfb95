"""A trained model as a folder or an archive that can be given to others, with a card that says what it is."""

import gzip
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from srctrace.checkpoint import Description, load_checkpoint, save_checkpoint
from srctrace.decision import load as load_decision
from srctrace.errors import UserError
from srctrace.files import atomic_folder, atomic_path
from srctrace.sharing.card import name_of, write_card
from srctrace.sharing.companions import copy_companions
from srctrace.sharing.contents import ARCHIVES, METRICS, ONNX, require_model
from srctrace.sharing.measured import measured
from srctrace.sharing.onnx import write_onnx


def export(model: str | os.PathLike, out: str | os.PathLike, licence: str, onnx: bool = False) -> None:
    """Export the model in the folder `model` to `out`: an archive if it ends as one of `ARCHIVES`, else a folder.

    The same model gives the same bytes. Nothing that it writes names a path or a machine.

    Args:
        licence: of the weights, by its id on the hub, as `cc-by-nc-4.0`.
        onnx: write `ONNX` too.

    Raises:
        UserError: there is no such model, it is damaged, or `out` is there already; or see `write_onnx`.
    """
    model, out = Path(model), Path(out)
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out}: a folder that is not empty: delete it, or name another with --out")
    if out.is_file():
        raise UserError(f"{out}: there is such a file already: delete it, or name another with --out")
    if not out.name.endswith(ARCHIVES):
        with atomic_folder(out) as temporary:
            write_folder(model, temporary, licence, onnx)
        return
    with TemporaryDirectory() as temporary:
        description = write_folder(model, Path(temporary), licence, onnx)
        pack = _zip if out.suffix == ".zip" else _tar
        with atomic_path(out) as archive:
            pack(Path(temporary), name_of(description), archive)


def write_folder(model: Path, out: Path, licence: str, onnx: bool = False, address: str = "") -> Description:
    """Write into the empty folder `out` what is shared of a model; its description as shared.

    Args:
        address: the name by which it can be had from the hub.

    Raises:
        UserError: see `export`.
    """
    if not model.exists():
        raise UserError(f"{model}: no such folder")
    require_model(model)
    tracer, description = load_checkpoint(model)
    decision = load_decision(model)
    description = _without_places(description)
    save_checkpoint(out, tracer.state_dict(), description)
    copy_companions(model, out)
    found = measured(model)
    (out / METRICS).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    in_onnx = write_onnx(out / ONNX, tracer, description) if onnx else {}
    write_card(out, description, decision, found, licence, address, in_onnx)
    return description


def _without_places(description: Description) -> Description:
    """Without the folders where a checkpoint was on the disk of whoever trained: the last part of its path stays."""

    def cleaned(made: dict) -> dict:
        kept = dict(made)
        if "checkpoint" in kept and kept["revision"] is None:
            kept["checkpoint"] = PurePath(kept["checkpoint"]).name
        if "config" in kept:  # transformers notes where it read it
            kept["config"] = {key: value for key, value in kept["config"].items() if key != "_name_or_path"}
        return kept

    return replace(description, frontend=cleaned(description.frontend), ssl=cleaned(description.ssl))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files below a folder and their names from there, sorted."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    yield from sorted(found.items())


def _tar(folder: Path, name: str, out: Path) -> None:
    with (
        out.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for inside, path in _files(folder):
            entry = tarfile.TarInfo(f"{name}/{inside}")  # nobody's, of 1970
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)


def _zip(folder: Path, name: str, out: Path) -> None:
    with zipfile.ZipFile(out, "w") as archive:
        for inside, path in _files(folder):
            entry = zipfile.ZipInfo(f"{name}/{inside}")  # of 1980, as early as can be
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())
