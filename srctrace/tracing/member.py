"""One trained model, ready to be given segments."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srctrace import decision
from srctrace.checkpoint import Description, load_checkpoint
from srctrace.decision import Decision
from srctrace.device import choose
from srctrace.errors import UserError
from srctrace.model import SourceTracer
from srctrace.tracing.features import FrontEnd, front_end


@dataclass(frozen=True)
class Member:
    """A model of an ensemble, or the only one. `decision`: none if the model has no decision file."""

    folder: Path
    model: SourceTracer
    description: Description
    digest: str  # of its weights
    decision: Decision | None
    front_end: FrontEnd

    @torch.inference_mode()
    def run(self, inputs: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """What its front-end made of a batch, to embeddings `(batch, size)` and logits `(batch, sources)` float64."""
        embeddings, logits = self.model(inputs)
        return embeddings.float().cpu().numpy(), logits.double().cpu().numpy()


def load_members(folders: Sequence[str | os.PathLike], device: str, threads: int) -> list[Member]:
    """The models of some folders; a front-end that several have is loaded once, and is the same object.

    Raises:
        UserError: a model is missing or damaged, or its decision is of another one; what its front-end needs is not
            here; or the models do not know the same sources, or take segments of different lengths.
    """
    place = choose(device, threads)  # kernels of our models for CPUs are deterministic anyhow
    members: list[Member] = []
    for folder in map(Path, folders):
        model, description = load_checkpoint(folder)
        made = (one.front_end for one in members if one.description.frontend == description.frontend)
        model.to(place)
        if model.ssl is not None:
            model.ssl.use(place, "fp32")
        member = Member(
            folder,
            model,
            description,
            decision.read_model(folder)["weights_sha256"],
            decision.load(folder),
            next(made, None) or front_end(description, place, threads),
        )
        size = model.backend.embedding_size
        if member.decision is not None and len(member.decision.centre) != size:
            raise UserError(
                f"{folder / decision.NAME}: of embeddings of size {len(member.decision.centre)}, and those of the "
                f"model have {size}: delete it, and have the workflow make it anew: snakemake --cores all"
            )
        members.append(member)
        _require_alike(members[0], member)
    return members


def _require_alike(first: Member, other: Member) -> None:
    known, also = set(first.description.sources), set(other.description.sources)
    if known != also:
        parts = ((known - also, "lacks"), (also - known, "has besides"))
        differences = [f"{words} {', '.join(sorted(names))}" for names, words in parts if names]
        raise UserError(
            f"{other.folder}: knows other sources than {first.folder}: it {' and '.join(differences)}: trace with each "
            "alone"
        )
    lengths = first.description.seconds, other.description.seconds
    if lengths[0] != lengths[1]:
        raise UserError(
            f"{other.folder}: takes segments of {lengths[1]:g} s, and {first.folder} of {lengths[0]:g} s: trace with "
            "each alone"
        )
