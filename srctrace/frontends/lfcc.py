"""Linear-frequency cepstral coefficients (LFCC), computed by the C++ core or on a GPU.

They are those of `torchaudio.transforms.LFCC` 2.11, but for one thing: the floor of 80 dB below the maximum is each
utterance's own, where torchaudio takes one maximum over a batch. An utterance's features are the same bits alone, in
any batch, and with any number of threads.
"""

from dataclasses import dataclass, field, fields
from functools import lru_cache
from operator import index

from srctrace import _C
from srctrace.arrays import gpu_for, like, outputs_of, refusing, samples_of
from srctrace.errors import UserError


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
        with refusing("LFCC options"):
            _core(self).check()

    def frames(self, samples: int) -> int:
        """Frames of an utterance of so many samples.

        Raises:
            UserError: it is too short for one frame or, with `center`, for its reflection.
        """
        with refusing("LFCC"):
            return self.core.frames(samples)

    @property
    def core(self) -> _C.LfccOptions:
        """The same for the C++ core."""
        return _kept_core(self)


def _core(options: LfccOptions) -> _C.LfccOptions:
    core = _C.LfccOptions()
    for option in fields(options):
        value = getattr(options, option.name)
        kind = getattr(option.type, "__name__", option.type)
        try:
            if kind == "bool" and not isinstance(value, bool):
                raise TypeError  # pybind11 would take None for False
            setattr(core, option.name, value)
        except TypeError:
            within = ", below 2^31" if kind == "int" and isinstance(value, int) else ""
            raise UserError(f"LFCC options: {option.name} is {value!r}: it must be {kind}{within}") from None
    return core


_kept_core = lru_cache(maxsize=32)(_core)


def lfcc(waves, options: LfccOptions, threads: int = 1, out=None):
    """LFCCs of a batch of utterances.

    Args:
        waves: `(batch, samples)`, float32 within ±1 or int16 (which stands for value / 32768), a NumPy array or a torch
            tensor, contiguous or not.
        threads: threads to share the utterances among; the result does not depend on it.
        out: where to put the result, a contiguous array or CPU tensor; a new one if there is none.

    Returns:
        `(batch, n_lfcc, frames)` float32: a NumPy array for an array; for a tensor, a tensor on the same device,
        without a gradient. Those of a CUDA tensor are computed on its GPU, by `srctrace.gpu.lfcc`, which gives NaN for
        an utterance with a bad sample in place of an error; where `srctrace._cuda` is not built, or with `out`, it is
        copied to the CPU and its LFCCs back.

    Raises:
        UserError: another kind of input, type or shape; too few samples for one frame; or a sample that is NaN,
            infinite, or beyond ±1e10: the message names the first one.
    """
    gpu = gpu_for(waves, out)
    if gpu is not None:
        return gpu.lfcc(waves, options)
    array = samples_of(waves, "LFCC")
    with refusing("LFCC"):
        return like(_C.lfcc(array, options.core, index(threads), outputs_of(out, array)), waves, out)
