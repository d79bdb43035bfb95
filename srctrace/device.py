"""Where a model runs, and that the same seed gives the same numbers there."""

import os

import torch

from srctrace.errors import UserError


def prepare(name: str, threads: int) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`, with `threads` CPU threads and deterministic kernels.

    Raises:
        UserError: `cuda` is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda was asked for, but torch finds no GPU: use auto or cpu")
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS refuses to be deterministic
    device = torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
    # On a GPU an operation without a deterministic kernel is worth a warning, not the loss of a run.
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    return device
