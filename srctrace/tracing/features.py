"""From segments to what a model is given: LFCCs, waveforms, or hidden states of a frozen SSL model."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from srctrace.checkpoint import Description
from srctrace.frontends.lfcc import LfccOptions, lfcc

FrontEnd = Callable[[np.ndarray], Tensor]
"""Segments `(batch, samples)` int16 to the inputs of a model."""


def front_end(description: Description, device: torch.device, threads: int) -> FrontEnd:
    """What makes the inputs of the model that is described.

    Raises:
        UserError: the weights of its SSL front-end are not here.
    """
    made = description.frontend
    if made["frontend"] == "lfcc":
        options = lfcc_options(made)
        return lambda waves: torch.from_numpy(lfcc(waves, options, threads)).to(device)
    if made["frontend"] == "waves":
        return lambda waves: _full_scale(waves).to(device)
    return _frozen(made, device)


def lfcc_options(made: dict) -> LfccOptions:
    """The options in what is said of how features were made."""
    return LfccOptions(**{field.name: made[field.name] for field in fields(LfccOptions) if field.name in made})


def _frozen(made: dict, device: torch.device) -> FrontEnd:
    from srctrace.frontends.folder import describe  # noqa: PLC0415 - transformers takes seconds
    from srctrace.frontends.ssl import load_encoder  # noqa: PLC0415
    from srctrace.frontends.weights import locate  # noqa: PLC0415

    folder = locate(made)
    encoder = load_encoder(folder, {**made, **describe(folder)}, made["layers"]).eval().use(device, "fp32")
    return torch.inference_mode()(lambda waves: encoder(_full_scale(waves).to(device)))


def _full_scale(waves: np.ndarray) -> Tensor:
    return torch.from_numpy(waves).float() / 32768
