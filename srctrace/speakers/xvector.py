"""Embeddings of x-vector models of transformers, as WavLM or wav2vec 2.0 with an x-vector head."""

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoFeatureExtractor, AutoModelForAudioXVector

from srctrace.audio import SAMPLE_RATE
from srctrace.device import prepare
from srctrace.errors import UserError

BEYOND = ("classifier.", "objective.")
"""Weights beyond the embedding: those that tell the speakers of the training apart."""


def load(name: str, device: str, threads: int):
    """What embeds int16 `(batch, samples)` into `(batch, dimensions)`, and what it is, for the record.

    Weights are read from safetensors only. `HF_HOME` and `HF_HUB_OFFLINE` mean what they do for transformers.

    Args:
        name: on the Hugging Face hub, or a folder.

    Raises:
        UserError: the model is not there, has no x-vector head or other weights than
            its config says, or listens at another sample rate.
    """
    try:
        extractor = AutoFeatureExtractor.from_pretrained(name)
        model, found = AutoModelForAudioXVector.from_pretrained(name, use_safetensors=True, output_loading_info=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(_cannot_be_had(name, error)) from None
    absent = [str(key) for key in (*found["missing_keys"], *found["mismatched_keys"])]
    absent = sorted(key for key in absent if not key.startswith(BEYOND))
    if absent:
        raise UserError(
            f"speakers.model: {name}: {len(absent)} weights are missing or of another shape, as {absent[0]}: it is no "
            "x-vector model, and what is missing would be random: name one that was trained to tell speakers apart"
        )
    if extractor.sampling_rate != SAMPLE_RATE:
        raise UserError(f"speakers.model: {name} listens at {extractor.sampling_rate} Hz, audio here has {SAMPLE_RATE}")
    place = prepare(device, threads)
    model = model.to(place).eval()

    @torch.inference_mode()
    def embed(waves: np.ndarray) -> np.ndarray:
        audio = list(waves.astype(np.float32) / 32768)
        inputs = extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt").to(place)
        return model(**inputs).embeddings.float().cpu().numpy()

    made = {
        "embedding": name,
        "architecture": type(model).__name__,
        "revision": getattr(model.config, "_commit_hash", None),
        "transformers": transformers.__version__,
    }
    return embed, made


def _cannot_be_had(name: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0]
    folder = f"data/models/{name.rstrip('/').rpartition('/')[2]}"
    return "\n".join(
        [
            f"speakers.model: {name}: cannot be loaded: {reason}",
            "On a machine that reaches the hub and has transformers:",
            f"  hf download {name} --local-dir {folder}",
            f"then copy {folder} here and set speakers.model to it. If its weights are not in model.safetensors (they "
            "are read in no other format here), write them so, where you trust their origin:",
            '  python -c "from transformers import AutoModelForAudioXVector as M; '
            f"M.from_pretrained('{folder}', use_safetensors=False).save_pretrained('{folder}')\"",
        ]
    )
