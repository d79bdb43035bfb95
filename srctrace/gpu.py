"""Mixing and LFCCs on NVIDIA GPUs, by `srctrace._cuda`.

The noise bank stays on the device as int16, only audio and plans go up, and features stay there. `lfcc` and
`augment_lfcc` do not wait for the device: work is queued on torch's current stream.
"""

from collections import OrderedDict
from functools import lru_cache

import numpy as np
import torch
from scipy.fft import next_fast_len

from srctrace.arrays import check_samples
from srctrace.augment import REVERB, Plan
from srctrace.errors import UserError
from srctrace.frontends.lfcc import LfccOptions

_import_error = ""
try:
    from srctrace import _cuda
except ImportError as error:
    _cuda = None
    _import_error = str(error)

CONVOLVED_AT_A_TIME = 2**28  # bytes of spectra
SPECTRA_KEPT = 2**31  # bytes of the spectra of impulse responses, by default


def why_not() -> str:
    """Why nothing can be computed on a GPU here, in one line; empty if it can."""
    if _cuda is not None:
        return _cuda.why_no_gpu()
    if "cannot import name" in _import_error:
        return (
            "no GPU: srctrace._cuda is not built; when srctrace is installed, nvcc is looked for by CUDA_HOME and on "
            "the PATH (SRCTRACE_CUDA=1 says what is missing)"
        )
    return f"no GPU: srctrace._cuda cannot be loaded: {_import_error}"


def lfcc(waves: torch.Tensor, options: LfccOptions) -> torch.Tensor:
    """LFCCs of utterances on a GPU.

    Args:
        waves: `(batch, samples)`, float32 within ±1 or int16 (which stands for value / 32768), on a GPU.

    Returns:
        `(batch, n_lfcc, frames)` float32 on the same GPU. An utterance with a sample that is NaN, infinite or beyond
        ±1e10 has NaN for all its features: `features[:, 0, 0].isnan()` finds it. It is not refused, as that would have
        to wait for the device.

    Raises:
        UserError: another type or shape, too few samples for one frame, not on a GPU, not enough memory there, or no
            GPU can be used, and why.
    """
    waves = _checked(waves)
    batch, samples = waves.shape
    return _run(waves, options, "lfcc", batch, 0, {}).reshape(batch, options.n_lfcc, options.frames(samples))


class DeviceBank:
    """A noise bank in a GPU's memory. As with any tensor, who goes on to another stream sees to the order.

    Args:
        samples: int16, all records one after another; it may be a memory map.
        starts: int64, one more than records: record r is `samples[starts[r]:starts[r + 1]]`.
        device: as torch has it.
        spectra_bytes: memory for spectra of impulse responses; those that were not used for longest make room.

    Raises:
        UserError: no GPU can be used, and why; a record is empty, too long or not there; or the memory is not enough.
    """

    def __init__(self, samples: np.ndarray, starts: np.ndarray, device="cuda", spectra_bytes: int = SPECTRA_KEPT):
        _require_gpu()
        starts = np.ascontiguousarray(starts, np.int64)
        if samples.dtype != np.int16 or samples.ndim != 1 or starts.ndim != 1 or len(starts) < 1:
            raise UserError("noise bank: samples must be one row of int16, and starts one of int64")
        try:
            _cuda.check_bank(starts, len(samples))
        except ValueError as error:
            raise UserError(f"noise bank: {error}") from None
        if np.diff(starts).max(initial=0) >= 2**31:
            raise UserError("noise bank: a record has 2^31 samples or more")
        try:
            self.samples = torch.empty(len(samples), dtype=torch.int16, device=device)
            piece = 2**27
            for begin in range(0, len(samples), piece):
                # A copy, as torch warns of memory that must not be written.
                part = torch.from_numpy(np.array(samples[begin : begin + piece]))
                self.samples[begin : begin + piece] = part.to(self.samples.device)
            self.starts = torch.from_numpy(starts).to(self.samples.device)
        except torch.OutOfMemoryError as error:
            raise UserError(f"noise bank: {samples.nbytes / 2**30:.1f} GiB of int16 do not fit: {error}") from None
        self.host_starts = starts
        self.device = self.samples.device
        self._spectra: OrderedDict[tuple[int, int], torch.Tensor] = OrderedDict()
        self._spectra_bytes = spectra_bytes

    def reverberate(self, waves: torch.Tensor, utterances: np.ndarray, records: np.ndarray) -> torch.Tensor:
        """`waves[utterances[i]]`, convolved with record `records[i]` at unit energy and cut to its own length.

        Args:
            waves: `(batch, samples)`, float32 or int16, on the bank's device.

        Returns:
            `(len(utterances), samples)` float32. A silent response changes nothing.
        """
        samples = waves.shape[1]
        out = torch.empty((len(utterances), samples), dtype=torch.float32, device=self.device)
        # Of what is behind the utterance's end, nothing is heard in it. A few sizes serve all responses.
        lengths = np.minimum(np.diff(self.host_starts)[records], samples)
        widths = 2 ** np.ceil(np.log2(lengths)).astype(np.int64)
        for width in np.unique(widths):
            rows = np.flatnonzero(widths == width)
            size = next_fast_len(samples + int(width) - 1, real=True)
            at_a_time = max(1, CONVOLVED_AT_A_TIME // (8 * size))
            for begin in range(0, len(rows), at_a_time):
                part = rows[begin : begin + at_a_time]
                speech = waves[_there(utterances[part], self.device)].float()
                if waves.dtype == torch.int16:
                    speech /= 32768
                spectra = torch.fft.rfft(speech, size) * self._spectra_of(records[part].tolist(), int(width), size)
                out[_there(part, self.device)] = torch.fft.irfft(spectra, size)[:, :samples]
        return out

    def _spectra_of(self, records: list[int], width: int, size: int) -> torch.Tensor:
        """`(records, size // 2 + 1)`: spectra of the first `width` samples of impulse responses at unit energy."""
        missing = sorted({record for record in records if (record, size) not in self._spectra})
        if missing:
            made = torch.fft.rfft(self._responses(missing, width), size)
            # Rows of their own, that are given back one by one.
            self._spectra.update(((record, size), row.clone()) for record, row in zip(missing, made, strict=True))
        for record in records:
            self._spectra.move_to_end((record, size))
        spectra = torch.stack([self._spectra[record, size] for record in records])
        kept = sum(row.nbytes for row in self._spectra.values())
        while kept > self._spectra_bytes:
            kept -= self._spectra.popitem(last=False)[1].nbytes
        return spectra

    def _responses(self, records: list[int], width: int) -> torch.Tensor:
        """`(records, width)` float32: impulse responses, whose unit energy is that of all their samples."""
        index = _there(np.array(records), self.device)
        begin, length = self.starts[index], self.starts[index + 1] - self.starts[index]
        longest = max(width, int(np.diff(self.host_starts)[records].max()))
        steps = torch.arange(longest, device=self.device)
        positions = (begin[:, None] + steps).clamp(max=len(self.samples) - 1)
        responses = torch.where(steps < length[:, None], self.samples[positions], 0).float()
        energy = responses.double().square().sum(1, keepdim=True)
        responses = (responses / energy.sqrt()).float()
        alone = (steps == 0).float()  # leaves speech as it is
        return torch.where(energy > 0, responses, alone)[:, :width]


def augment_lfcc(waves: torch.Tensor, plan: Plan, bank: DeviceBank, options: LfccOptions) -> torch.Tensor:
    """LFCCs of the variants of each utterance.

    Args:
        waves: `(batch, samples)`, float32 or int16, on the bank's GPU.

    Returns:
        `(batch, variants, n_lfcc, frames)` float32 on the GPU, NaN for all variants of an utterance with a bad sample,
        as from `lfcc`.

    Raises:
        UserError: as from `lfcc`; or the plan is not one, or not for this bank, or the bank is on another device.
    """
    waves = _checked(waves)
    batch, samples = waves.shape
    frames = options.frames(samples)
    if waves.device != bank.device:
        raise UserError(f"waves are on {waves.device}, but the noise bank is on {bank.device}")
    if len(plan.kinds) != batch:
        raise UserError(
            f"augmentation: kinds must be (batch, variants), not {plan.kinds.shape}, for a batch of {batch}"
        )
    variants = plan.kinds.shape[1]
    # In an order that aligns them all.
    arrays = {name: getattr(plan, name).ravel() for name in ("firsts", "snrs", "records", "offsets", "kinds")}
    try:
        _cuda.check_plan(variants=variants, **arrays, starts=bank.host_starts)
    except ValueError as error:
        raise UserError(f"augmentation: {error}") from None

    reverberant = np.flatnonzero(arrays["kinds"] == REVERB)
    reverberated = None
    if len(reverberant):
        parts = plan.firsts[reverberant]
        try:
            reverberated = bank.reverberate(waves, reverberant // variants, plan.records[parts])
        except torch.OutOfMemoryError as error:
            raise UserError(f"reverberation on {waves.device}: {error}") from None
        # The device's copy says in which row the result is.
        arrays["records"] = plan.records.copy()
        arrays["records"][parts] = np.arange(len(parts))

    plan_there = _there(np.concatenate([array.view(np.uint8) for array in arrays.values()]), waves.device)
    ends = np.cumsum([array.nbytes for array in arrays.values()])
    arguments = {
        name: plan_there.data_ptr() + int(end) - array.nbytes
        for (name, array), end in zip(arrays.items(), ends, strict=True)
    }
    arguments |= {"bank": bank.samples.data_ptr(), "starts": bank.starts.data_ptr()}
    arguments["reverberated"] = 0 if reverberated is None else reverberated.data_ptr()
    arguments |= {"variants": variants, "parts": len(plan.records)}
    features = _run(waves, options, "augment_lfcc", batch * variants, len(plan.records), arguments)
    return features.reshape(batch, variants, options.n_lfcc, frames)


def _there(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array on a device. What is not in pinned memory would be waited for."""
    tensor = torch.from_numpy(array)
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def _checked(waves: torch.Tensor) -> torch.Tensor:
    _require_gpu()
    check_samples(waves, "LFCC")
    return waves.detach().contiguous()


def _require_gpu() -> None:
    if reason := why_not():
        raise UserError(reason)


@lru_cache(maxsize=8)
def _plan(options: LfccOptions, device: int):
    return _cuda.DeviceLfcc(options.core, device)


def _stream(device: torch.device) -> tuple[int, int]:
    """The device's index and torch's current stream there."""
    if device.type != "cuda":
        raise UserError(f"LFCC on a GPU: waves are on {device}")
    return device.index, torch.cuda.current_stream(device).cuda_stream


def _run(
    waves: torch.Tensor, options: LfccOptions, function: str, mixes: int, parts: int, arguments: dict
) -> torch.Tensor:
    """The features, flat, by a function of the plan, with memory of torch's."""
    batch, samples = waves.shape
    frames = options.frames(samples)
    index, stream = _stream(waves.device)
    try:
        plan = _plan(options, index)
        workspace_bytes = plan.workspace_bytes(mixes, samples, parts)
        workspace = torch.empty(workspace_bytes, dtype=torch.uint8, device=waves.device)
        features = torch.empty(mixes * options.n_lfcc * frames, dtype=torch.float32, device=waves.device)
        getattr(plan, function)(
            waves=waves.data_ptr(),
            int16=waves.dtype == torch.int16,
            batch=batch,
            samples=samples,
            **arguments,
            workspace=workspace.data_ptr(),
            workspace_bytes=workspace_bytes,
            features=features.data_ptr(),
            stream=stream,
        )
    except (ValueError, _cuda.CudaError, torch.OutOfMemoryError) as error:
        raise UserError(f"LFCC on {waves.device}: {error}") from None
    return features
