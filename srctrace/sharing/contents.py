"""OWNS what a shared model consists of, and tells a folder that is one from others."""

from pathlib import Path

from srctrace.checkpoint import DESCRIPTION, WEIGHTS
from srctrace.decision import NAME as DECISION
from srctrace.errors import UserError
from srctrace.tracing.enrolled import FOLDER as ENROLLED

METRICS = "metrics.json"
ONNX = "onnx/backend.onnx"
CARD = "README.md"
TO_LOAD = (WEIGHTS, DESCRIPTION, DECISION, f"{ENROLLED}/*", METRICS, CARD)
"""Patterns of all that is fetched of a model; `ONNX` is for other programs."""

ARCHIVES = (".tar.gz", ".zip")
PICKLES = (".pth", ".pt", ".ckpt", ".pkl", ".bin")
LOOKS = f"a model is a folder with {WEIGHTS} and {DESCRIPTION}, as the workflow and `srctrace export` write it"


FORMS = "a folder that exists, or OWNER/NAME or OWNER/NAME@REVISION of the hub"
"""What a model may be named by."""


def require_model(path: Path) -> None:
    """Refuse what is no model's folder; whether the model is whole and of this format, `load_checkpoint` says.

    Raises:
        UserError: it is an archive, has only pickles, or is something else.
    """
    if path.is_file():
        if path.name.endswith(ARCHIVES):
            command = "unzip" if path.suffix == ".zip" else "tar -xzf"
            raise UserError(f"{path}: an archive: unpack it (`{command} {path}`), and name the folder that comes out")
        raise UserError(f"{path}: {_pickled([path.name]) or 'a file'}: {LOOKS}")
    if (path / DESCRIPTION).is_file():
        return
    names = sorted(entry.name for entry in path.iterdir())
    inside = [name for name in names if (path / name / DESCRIPTION).is_file()]
    if inside:
        raise UserError(f"{path}: has no {DESCRIPTION}, but {path / inside[0]} has: name that folder")
    raise UserError(f"{path}: {_pickled(names) or f'has no {DESCRIPTION}'}: {LOOKS}")


def _pickled(names: list[str]) -> str:
    found = [name for name in names if name.endswith(PICKLES)]
    return f"{', '.join(found)}: pickles are never loaded, as they can run any code" if found else ""
