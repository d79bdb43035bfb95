"""Tensors that others saved with `torch.save`, read without running what a pickle may hold."""

import os
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np

from srctrace.errors import UserError

REFUSED = re.compile(r"Unsupported .*?(?=\. Please|$)", re.MULTILINE)  # in the midst of torch's long message


def load_tensor(path: str | os.PathLike) -> np.ndarray:
    """The one float tensor in a `.pt` file, as float32.

    Raises:
        UserError: it is missing, damaged, not one float tensor, holds NaN or infinity, or is a pickle of more than
            tensors, which is refused because reading it would run what is in it.
    """
    import torch  # noqa: PLC0415 - decoding ordinary audio needs no torch

    try:
        tensor = torch.load(Path(path), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except pickle.UnpicklingError as error:
        found = REFUSED.search(str(error))
        reason = found[0] if found else str(error).strip().splitlines()[0]
        raise UserError(
            f"{path}: refused: it holds more than tensors, or is damaged ({reason}): reading it could run a program; "
            "save the tensor alone, with torch.save(tensor, path)"
        ) from None
    except (RuntimeError, EOFError, ValueError, zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path}: cannot be read as a tensor ({str(error).splitlines()[0]}): fetch it again") from None
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        kind = f"a tensor of {tensor.dtype}" if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise UserError(f"{path}: holds {kind}, where one float tensor is expected")
    array = tensor.detach().to(torch.float32).numpy()
    if not np.isfinite(array).all():
        raise UserError(f"{path}: holds NaN or infinity: make it again or remove it from the corpus")
    return array
