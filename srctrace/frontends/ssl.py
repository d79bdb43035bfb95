"""Self-supervised front-ends: hidden states of wav2vec 2.0, XLS-R, HuBERT, WavLM and w2v-BERT 2.0, by transformers.

wav2vec 2.0: Baevski et al. 2020. XLS-R: Babu et al. 2022. HuBERT: Hsu et al. 2021. WavLM: Chen et al. 2022. w2v-BERT
2.0: Barrault et al. 2023.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from math import prod
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

from srctrace.audio import SAMPLE_RATE
from srctrace.errors import UserError
from srctrace.frontends.folder import ARCHITECTURES
from srctrace.grid import LAST, WEIGHTED

EXTRACTORS = {
    extractor.__name__: extractor
    for extractor in (transformers.Wav2Vec2FeatureExtractor, transformers.SeamlessM4TFeatureExtractor)
}
NOT_NEEDED = ("masked_spec_embed",)
"""Weights that a checkpoint may lack: pretraining alone uses them."""

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


class SslEncoder(nn.Module):
    """Waveforms to hidden states.

    `description` has all that the architecture and its use need: a checkpoint of ours keeps it, so that a fine-tuned
    model can be built where the original weights are not.
    """

    def __init__(self, description: Mapping, model: nn.Module | None = None):
        """With random weights, unless `model` has them; of its layers, those above the one that is used are dropped."""
        super().__init__()
        self.description = dict(description)
        settings = dict(description["extractor"])
        # A model may come from anywhere: what it names is not simply called.
        extractor, architecture = settings.pop("feature_extractor_type", None), description["config"].get("model_type")
        if extractor not in EXTRACTORS or architecture not in ARCHITECTURES:
            raise UserError(
                f"an SSL front-end of {architecture!r} with a {extractor!r}: known are {', '.join(ARCHITECTURES)} with "
                f"{' or '.join(EXTRACTORS)}"
            )
        self.extractor = EXTRACTORS[extractor](**settings)
        if model is None:
            model = AutoModel.from_config(AutoConfig.for_model(**description["config"]), dtype=torch.float32)
        self.layers: str | int = description["layers"]
        if self.layers not in (LAST, WEIGHTED):
            model.encoder.layers = model.encoder.layers[: max(1, self.layers)]  # the first tells what it was given
        self.model = model
        self.n_features: int = model.config.hidden_size
        self.n_layers = len(model.encoder.layers) + 1 if self.layers == WEIGHTED else 0
        self.masks_padding = bool(getattr(self.extractor, "return_attention_mask", True))
        self.takes_waves = self.extractor.model_input_names[0] == "input_values"
        self.autocast: torch.dtype | None = None
        self.frozen: list[nn.Module] = []

    def forward(self, waves: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """Hidden states `(batch, hidden, frames)` float32, or `(batch, layers, hidden, frames)` of all layers.

        Args:
            waves: `(batch, samples)` float32 in units of full scale, at 16 kHz.
            lengths: samples of each utterance, where some are padded with zeros at the end; a frame of an utterance is
                then as it is without padding. See `frames`.

        Raises:
            ValueError: lengths differ, and the model is one of those that were trained without padding masks.
        """
        if lengths is not None and len(set(lengths)) > 1 and not self.masks_padding:
            raise ValueError("this checkpoint has no padding masks: give it utterances of one length at a time")
        inputs = self._normalised(waves, lengths) if self.takes_waves else self._extracted(waves, lengths)
        place = nullcontext() if self.autocast is None else torch.autocast(waves.device.type, self.autocast)
        with place:
            output = self.model(**inputs, output_hidden_states=self.layers != LAST)
        if self.layers == LAST:
            hidden = output.last_hidden_state
        elif self.layers == WEIGHTED:
            hidden = torch.stack(output.hidden_states, dim=1)
        else:
            hidden = output.hidden_states[self.layers]
        # w2v-BERT makes two frames of its filter banks into one, and pads where their number is odd.
        return hidden.float().transpose(-1, -2)[..., : self.frames(waves.shape[1])]

    def frames(self, samples: int) -> int:
        """Frames of an utterance of so many samples."""
        if not self.takes_waves:
            return max(0, 1 + (samples - 400) // 160) // self.extractor.stride
        for kernel, stride in zip(self.model.config.conv_kernel, self.model.config.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return max(0, samples)

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return prod(self.model.config.conv_stride) if self.takes_waves else 160 * self.extractor.stride

    def use(self, device: torch.device, precision: str) -> "SslEncoder":
        """Run on a device; on a GPU, in a precision.

        Raises:
            UserError: the GPU has no bf16.
        """
        if (
            device.type == "cuda"
            and precision == "bf16"
            and not torch.cuda.is_bf16_supported(including_emulation=False)
        ):
            raise UserError("ssl.precision: this GPU has no bf16: set it to fp16")
        types = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}
        self.autocast = types[precision] if device.type == "cuda" else None
        return self.to(device)

    def freeze(self, encoder: bool, layers: int) -> None:
        """Keep the weights of the lowest parts, which then run as in evaluation.

        Args:
            encoder: the convolutions below the transformer (of w2v-BERT, the projection of its filter banks).
            layers: so many transformer layers, and all below them.

        Raises:
            UserError: there are fewer layers.
        """
        blocks = self.model.encoder.layers
        if layers > len(blocks):
            raise UserError(f"freeze_layers is {layers}, but {self.description['checkpoint']} has {len(blocks)} layers")
        below = [module for name, module in self.model.named_children() if name.startswith("feature_")]
        if layers:
            after = getattr(self.model.config, "do_stable_layer_norm", True)  # the layer norm is after the layers then
            kept = ("pos_", "dropout") if after else ("pos_", "dropout", "layer_norm")
            in_encoder = [module for name, module in self.model.encoder.named_children() if name.startswith(kept)]
            self.frozen = [*below, *in_encoder, *blocks[:layers]]
        elif encoder:
            self.frozen = below[:1]
        if self.frozen and hasattr(self.model, "freeze_feature_encoder"):
            self.model.freeze_feature_encoder()  # else transformers asks for a gradient of its input
        for module in self.frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def recompute(self) -> None:
        """Keep no more than a layer's input for the backward pass, and compute the layer again there."""
        self.model.activation_checkpointing_enable({"use_reentrant": False})

    def train(self, mode: bool = True) -> "SslEncoder":
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    @torch.inference_mode()
    def encode(self, waves: Sequence[np.ndarray], batch_seconds: float) -> Iterator[tuple[list[int], list[Tensor]]]:
        """Hidden states of utterances of any lengths, in batches of like ones: which they are, and of each its frames.

        On a GPU a batch is yielded while it is computed.

        Args:
            waves: `(samples,)` float32 each.
            batch_seconds: audio in a batch, padding included; of longer utterances, one makes a batch.
        """
        device = next(self.parameters()).device
        order = sorted(range(len(waves)), key=lambda index: len(waves[index]))
        for indices in _batches([len(waves[index]) for index in order], batch_seconds, self.masks_padding):
            chosen = [order[index] for index in indices]
            lengths = [len(waves[index]) for index in chosen]
            batch = np.zeros((len(chosen), max(lengths)), np.float32)
            for row, index in zip(batch, chosen, strict=True):
                row[: len(waves[index])] = waves[index]
            hidden = self(torch.from_numpy(batch).to(device, non_blocking=True), lengths)
            yield chosen, [found[..., : self.frames(length)] for found, length in zip(hidden, lengths, strict=True)]

    def _normalised(self, waves: Tensor, lengths: Sequence[int] | None) -> dict[str, Tensor]:
        """What `Wav2Vec2FeatureExtractor` makes of them, on their own device: zero mean, unit variance, and a mask."""
        mask = None
        if lengths is not None and min(lengths) < waves.shape[1]:
            ends = torch.tensor(lengths, device=waves.device)[:, None]
            mask = torch.arange(waves.shape[1], device=waves.device) < ends
        if self.extractor.do_normalize:
            count = waves.shape[1] if mask is None else mask.sum(dim=1, keepdim=True)
            centred = waves - waves.sum(dim=1, keepdim=True) / count
            centred = centred if mask is None else centred * mask
            waves = centred / (centred.square().sum(dim=1, keepdim=True) / count + 1e-7).sqrt()
        return {"input_values": waves} if mask is None else {"input_values": waves, "attention_mask": mask.long()}

    def _extracted(self, waves: Tensor, lengths: Sequence[int] | None) -> dict[str, Tensor]:
        """What another extractor makes of them, on the CPU: filter banks, standardised, and a mask."""
        arrays = waves.cpu().numpy()
        each = [
            array[:length] for array, length in zip(arrays, lengths or [arrays.shape[1]] * len(arrays), strict=True)
        ]
        made = self.extractor(each, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return {name: tensor.to(waves.device) for name, tensor in made.items()}


def read_pinned(path: str | os.PathLike) -> dict:
    """What `weights.pin` wrote of a checkpoint.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: missing or damaged ({error}): write it with `srctrace fetch-weights`") from None


def load_encoder(folder: str | os.PathLike, pinned: Mapping, layers: str | int) -> SslEncoder:
    """The encoder with the weights of a checkpoint, nothing fetched.

    Args:
        folder: where the checkpoint is: see `weights.locate`.
        pinned: what is known of it: see `weights.pin`.
        layers: `last`, `weighted` (all, to be weighted) or the number of one; 0 is what the first is given.

    Raises:
        UserError: the checkpoint is damaged, lacks weights or has no such layer.
    """
    name = pinned["checkpoint"]
    if layers not in (LAST, WEIGHTED) and not 0 <= layers <= pinned["n_layers"]:
        raise UserError(f"layers: {layers}: {name} has the layers 0 to {pinned['n_layers']}, {LAST} and {WEIGHTED}")
    # No layer is left out and nothing is masked in training: what does so here draws from generators of its own.
    changes = {"layerdrop": 0.0, "apply_spec_augment": False, "add_adapter": False}
    try:
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        for key, value in changes.items():
            if hasattr(config, key):
                setattr(config, key, value)
        model, found = AutoModel.from_pretrained(
            folder, config=config, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise UserError(f"{name}: cannot be loaded from {folder}: {str(error).strip().splitlines()[0]}") from None
    absent = sorted(str(key) for key in (*found["missing_keys"], *found["mismatched_keys"]))
    absent = [key for key in absent if not key.endswith(NOT_NEEDED)]
    if absent:
        raise UserError(
            f"{name}: {len(absent)} weights are missing in {folder} or of another shape, as {absent[0]}: what is "
            "missing would be random: fetch the checkpoint again, or name another"
        )
    description = {
        **{key: pinned[key] for key in ("checkpoint", "revision", "files", "architecture")},
        "layers": layers,
        "config": config.to_dict(),
        "extractor": extractor.to_dict(),
    }
    return SslEncoder(description, model)


def _batches(lengths: Sequence[int], seconds: float, mixed: bool) -> Iterator[range]:
    """Ranges of sorted lengths whose padded audio fits, each of one length unless they may be mixed."""
    first = 0
    for index in range(1, len(lengths) + 1):
        full = index == len(lengths) or (index - first + 1) * lengths[index] > seconds * SAMPLE_RATE
        if full or (not mixed and lengths[index] != lengths[first]):
            yield range(first, index)
            first = index
