"""Linear-frequency cepstral coefficients (LFCC), computed by the C++ core or on a GPU.

They are those of `torchaudio.transforms.LFCC` 2.11, but for one thing: the floor of 80 dB below the maximum is each
utterance's own, where torchaudio takes one maximum over a batch. An utterance's features are the same bits alone, in
any batch, and with any number of threads.
"""

import sys
from dataclasses import dataclass, field, fields

import numpy as np

from srctrace import _C
from srctrace.errors import UserError

SAMPLE_TYPES = ("float32", "int16")


@dataclass(frozen=True)
class LfccOptions:
    """How LFCCs are computed. The defaults give 80 x 399 for 4 s at 16 kHz.

    Raises:
        UserError: an option is out of its range; the message says which, what it is and what it may be.
    """

    sample_rate: int = field(default=16000, metadata={"help": "samples per second"})
    n_fft: int = field(default=320, metadata={"help": "samples in a frame: the length of the Fourier transform"})
    win_length: int = field(default=320, metadata={"help": "samples of the periodic Hann window, up to n_fft"})
    hop_length: int = field(default=160, metadata={"help": "samples from one frame to the next"})
    center: bool = field(default=False, metadata={"help": "reflect n_fft // 2 samples at both ends"})
    n_filter: int = field(default=128, metadata={"help": "triangular filters, evenly spaced"})
    n_lfcc: int = field(default=80, metadata={"help": "coefficients kept, up to n_filter"})
    f_min: float = field(default=0.0, metadata={"help": "where the first filter begins, in Hz"})
    f_max: float | None = field(
        default=None, metadata={"help": "where the last filter ends, in Hz; none: half the rate"}
    )
    log_lf: bool = field(default=False, metadata={"help": "ln(x + 1e-6) in place of dB with a floor at maximum - 80"})

    def __post_init__(self):
        try:
            self._native().check()
        except ValueError as error:
            raise UserError(f"LFCC options: {error}") from None

    def frames(self, samples: int) -> int:
        """Frames of an utterance of so many samples.

        Raises:
            UserError: it is too short for one frame or, with `center`, for its reflection.
        """
        try:
            return self._native().frames(samples)
        except ValueError as error:
            raise UserError(f"LFCC: {error}") from None

    def _native(self) -> _C.LfccOptions:
        native = _C.LfccOptions()
        for option in fields(self):
            value = getattr(self, option.name)
            try:
                setattr(native, option.name, value)
            except TypeError:
                kind = getattr(option.type, "__name__", option.type)
                raise UserError(f"LFCC options: {option.name} is {value!r}: it must be {kind}") from None
        return native


def lfcc(waves, options: LfccOptions, threads: int = 1):
    """LFCCs of a batch of utterances.

    Args:
        waves: `(batch, samples)`, float32 within ±1 or int16 (which stands for value / 32768), a NumPy array or a torch
            tensor, contiguous or not.
        threads: threads to share the utterances among; the result does not depend on it.

    Returns:
        `(batch, n_lfcc, frames)` float32: a NumPy array for an array; for a tensor, a tensor on the same device,
        without a gradient. A CUDA tensor's are computed on its GPU, by `srctrace.gpu.lfcc`, which
        turns an utterance with a bad sample into NaN; where `srctrace._cuda` is not built, it is
        copied to the CPU and its LFCCs back.

    Raises:
        UserError: another kind of input, type or shape; too few samples for one frame; or a sample that is NaN,
            infinite, or beyond ±1e10: the message names the first one.
    """
    torch = sys.modules.get("torch")  # who passes a tensor has imported it; preprocessing does without
    is_tensor = torch is not None and isinstance(waves, torch.Tensor)
    if not is_tensor and not isinstance(waves, np.ndarray):
        raise UserError(f"LFCC: waves must be a NumPy array or a torch tensor, not {type(waves).__name__}")
    shape, sample_type = tuple(waves.shape), str(waves.dtype).removeprefix("torch.")
    if len(shape) != 2 or sample_type not in SAMPLE_TYPES:
        raise UserError(
            f"LFCC: waves must be (batch, samples) of {' or '.join(SAMPLE_TYPES)}, not {shape} of {sample_type}"
        )
    if is_tensor and waves.is_cuda:
        from srctrace import gpu  # noqa: PLC0415 - it imports torch

        if not gpu.why_not():
            return gpu.lfcc(waves, options)
    array = waves.detach().cpu().numpy() if is_tensor else waves
    try:
        features = _C.lfcc(np.require(array, requirements=["C", "A"]), options._native(), threads)
    except ValueError as error:
        raise UserError(f"LFCC: {error}") from None
    return torch.from_numpy(features).to(waves.device) if is_tensor else features
