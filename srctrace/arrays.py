"""NumPy arrays and torch tensors, as the C++ core takes them."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from srctrace.errors import UserError

SAMPLE_TYPES = ("float32", "int16")


def is_tensor(value) -> bool:
    """Whether it is a torch tensor. Who passes one has imported torch; preprocessing does without."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def check_samples(waves, what: str) -> None:
    """Refuse what is no batch of audio.

    Raises:
        UserError: it is no array or tensor, or not `(batch, samples)` of float32 or int16; the message begins with
            `what`.
    """
    if not is_tensor(waves) and not isinstance(waves, np.ndarray):
        raise UserError(f"{what}: waves must be a NumPy array or a torch tensor, not {type(waves).__name__}")
    shape, sample_type = tuple(waves.shape), str(waves.dtype).removeprefix("torch.")
    if len(shape) != 2 or sample_type not in SAMPLE_TYPES:
        raise UserError(
            f"{what}: waves must be (batch, samples) of {' or '.join(SAMPLE_TYPES)}, not {shape} of {sample_type}"
        )


def samples_of(waves, what: str) -> np.ndarray:
    """A batch of audio, checked, as an array of its own type, contiguous and aligned. A CUDA tensor is copied."""
    check_samples(waves, what)
    array = waves.detach().cpu().numpy() if is_tensor(waves) else waves
    return np.require(array, requirements=["C", "A"])


def outputs_of(out, waves: np.ndarray) -> np.ndarray | None:
    """The memory of an array or a tensor that is to be written to, while `waves` are read.

    Raises:
        UserError: it is no array or CPU tensor of float32, not contiguous, or lies where `waves` are.
    """
    if out is None:
        return None
    try:
        array = out.numpy() if is_tensor(out) else out
    except (RuntimeError, TypeError) as error:
        raise UserError(f"out: it must be a tensor on the CPU, without a gradient ({error})") from None
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise UserError("out: it must be a contiguous NumPy array or torch tensor of float32")
    if np.may_share_memory(array, waves):
        raise UserError("out: it must not be in the memory of waves, which are read again while it is written")
    return array


def like(result: np.ndarray, waves, out):
    """`out`, if there is one; else the result as an array or a tensor, and on the device, as `waves` are."""
    if out is not None:
        return out
    return sys.modules["torch"].from_numpy(result).to(waves.device) if is_tensor(waves) else result


def gpu_for(waves, out):
    """`srctrace.gpu` for a CUDA tensor, where it can compute and the result goes to no given place; otherwise none."""
    if not is_tensor(waves) or not waves.is_cuda or out is not None:
        return None
    from srctrace import gpu  # noqa: PLC0415 - it imports torch

    reason = gpu.why_not()
    if reason:
        warnings.warn(f"{reason}; this is computed on the CPU", stacklevel=3)
        return None
    return gpu


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """What the core refuses, as a message to the user."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{what}: {error}") from None
