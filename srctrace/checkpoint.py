"""A trained model on disk: `model.safetensors`, and `model.json` with all that is needed to use it.

The JSON freezes the architecture, its sizes, the label map, how the features are made, and where the model comes from.
Nothing is ever read from a file name, and no pickle is loaded.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import nn

from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.manifest import SLUG
from srctrace.model import SourceTracer

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
FORMAT = 2  # of both files; 1 did not say of what length inputs are, nor which corpus and languages they were
FRONTENDS = ("lfcc", "ssl", "waves")
LEAST_SECONDS, MOST_SECONDS = 0.1, 600.0  # of an input: what can be cut, and got into memory


@dataclass(frozen=True)
class Description:
    """What `model.json` holds, beside the digest of the weights."""

    system: str
    frontend: dict  # how its inputs are made: name and options of the front-end; `waves` if the model has its own
    n_features: int
    backend: str
    sizes: dict
    sources: list[str]  # the label map: index in the logits to source
    training: dict  # corpus, languages, condition, options, seed, and what was reached
    provenance: dict  # versions and hashes
    n_layers: int = 0  # of features that have several; 0: no such axis
    ssl: dict = field(default_factory=dict)  # architecture of the SSL front-end that is trained with it
    scale: float = 0.0  # of the logits of a classifier by cosines; 0: a linear one
    format: int = FORMAT

    @property
    def seconds(self) -> float:
        """The length of its inputs."""
        return self.frontend["seconds"]


def build(description: Description, ssl: nn.Module | None = None) -> SourceTracer:
    """The model, with fresh weights but for those of an SSL front-end that is given."""
    if description.ssl and ssl is None:
        from srctrace.frontends.ssl import SslEncoder  # noqa: PLC0415 - it needs transformers

        ssl = SslEncoder(description.ssl)
    model = SourceTracer(
        description.n_features,
        len(description.sources),
        description.backend,
        description.sizes,
        description.n_layers,
        ssl,
        description.scale,
    )
    return model.to(memory_format=torch.channels_last)  # 2-D convolutions on CPU are up to 1.5 times as fast


def save_checkpoint(folder: str | os.PathLike, state: dict, description: Description) -> None:
    """Write both files, the description last: where it exists, the weights are whole.

    Each holds the digest of the other: the weights that of the description, which then gets theirs.
    """
    content = asdict(description)
    metadata = {"description_sha256": _digest(content)}
    weights = save({name: tensor.contiguous() for name, tensor in state.items()}, metadata)
    content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    with atomic_path(Path(folder) / WEIGHTS) as temporary:
        temporary.write_bytes(weights)
    with atomic_path(Path(folder) / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def load_checkpoint(folder: str | os.PathLike) -> tuple[SourceTracer, Description]:
    """The model in evaluation mode, and its description.

    Raises:
        UserError: a file is missing or damaged, the two do not belong together, they are of another format, or what
            they say makes no model.
    """
    folder = Path(folder)
    again = "delete the folder's model files and train again"
    try:
        content = json.loads((folder / DESCRIPTION).read_text())
        digest = content.pop("weights_sha256")
        _require_format(content.get("format", 1), folder)
        description = Description(**content)
        weights = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: no such file: a model is a folder with {WEIGHTS} and {DESCRIPTION}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / DESCRIPTION}: damaged ({error}): {again}") from None
    if hashlib.sha256(weights).hexdigest() != digest:
        raise UserError(f"{folder / WEIGHTS}: damaged, or not the weights that {DESCRIPTION} describes: {again}")
    # Digests that agree are no proof: whoever gave the model may have written them for anything.
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("description_sha256") != _digest(content):
            raise UserError(f"{folder / DESCRIPTION}: changed since the model was trained: {again}")
        _require_sound(description)
        model = build(description)
        model.load_state_dict(load(weights))
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder}: damaged, or no model of srctrace's ({reason}): {again}") from None
    if not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
        raise UserError(f"{folder / WEIGHTS}: damaged: holds NaN or infinity: {again}")
    return model.eval(), description


def _require_format(found: int, folder: Path) -> None:
    if found == FORMAT:
        return
    if found > FORMAT:
        fix = "install a newer srctrace: pip install --upgrade srctrace"
    else:
        fix = f"delete {folder} and run the workflow again, which trains it anew"
    raise UserError(
        f"{folder / DESCRIPTION}: a model of format {found}, and this srctrace reads format {FORMAT}: {fix}"
    )


def _require_sound(description: Description) -> None:
    """Refuse what the program relies on and a description does not have.

    Raises:
        ValueError: says what.
    """
    sources, made, training = description.sources, description.frontend, description.training
    if not _are_texts(sources) or len(sources) < 2 or len(set(sources)) < len(sources):
        raise ValueError("sources are no list of two names or more, each once")
    for source in sources:
        if not SLUG.fullmatch(source):
            raise ValueError(f"source {source!r}: has more than letters, digits, '.', '_' and '-'")
    if not isinstance(made, dict) or made.get("frontend") not in FRONTENDS:
        raise ValueError(f"frontend is none of {', '.join(FRONTENDS)}")
    seconds = made.get("seconds")
    if not _is_number(seconds) or not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise ValueError(f"seconds of an input are {seconds!r}, not from {LEAST_SECONDS:g} to {MOST_SECONDS:g}")
    if not isinstance(training, dict) or not _are_texts(training.get("languages", [])):
        raise ValueError("training has no list of languages")
    reached = training.get("reached", {})
    if not isinstance(reached, dict) or not all(map(_is_number, reached.values())):
        raise ValueError("what training reached is not in numbers")


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _digest(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
