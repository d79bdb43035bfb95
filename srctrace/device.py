"""Where a model runs, and that the same seed gives the same numbers there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from srctrace.errors import UserError
from srctrace.placement import take_gpu

WORDS_FOR_TOO_LITTLE = ("can't allocate memory", "ALLOC_FAILED")  # in errors of torch and of NVIDIA's libraries


def choose(name: str, threads: int) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`, with `threads` CPU threads.

    A GPU is this process's alone among those of srctrace: it is waited for.

    Raises:
        UserError: `cuda` is asked for and there is none.
    """
    if name != "cpu" and torch.backends.cuda.is_built():
        take_gpu()
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda was asked for, but torch finds no GPU: use auto or cpu")
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if name == "auto" and given not in ("", "-1", "NoDevFiles") and not torch.cuda.is_available():
        why = "its build is for CPUs alone" if not torch.backends.cuda.is_built() else "no driver, or it is too old"
        print(f"GPU {given} was given to this job, but torch finds none ({why}): on the CPU", file=sys.stderr)
    torch.set_num_threads(threads)
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def prepare(name: str, threads: int) -> torch.device:
    """As `choose`, with deterministic kernels too. Asking for these takes a second of imports.

    Raises:
        UserError: see `choose`.
    """
    device = choose(name, threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS refuses to be deterministic
    # On a GPU an operation without a deterministic kernel is worth a warning, not the loss of a run.
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    torch.utils.deterministic.fill_uninitialized_memory = False  # it writes all memory once more, for wrong code
    return device


@contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Say what to lower where memory is not enough.

    Raises:
        UserError: the GPU's or the machine's memory ran out in the block.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"out of GPU memory ({str(error).partition(' GPU ')[0]}): {advice}") from None
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(word in str(error) for word in WORDS_FOR_TOO_LITTLE):
            raise
        raise UserError(f"out of memory ({str(error).rpartition(': ')[2] or 'of the machine'}): {advice}") from None
