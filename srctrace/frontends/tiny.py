"""Small checkpoints of the architectures that SSL front-ends may have, with random weights.

For tests, and for tries of a workflow where the hub cannot be reached. All but the number and the width of layers is as
in the large models: kernels and strides of the feature encoder are theirs, so 4 s give 199 frames.
"""

import os

import torch
import transformers as hf

from srctrace.audio import SAMPLE_RATE
from srctrace.files import atomic_folder
from srctrace.rng import address_key

HIDDEN = 24  # width of a hidden state: a multiple of the heads and of the groups of the position's convolution
LAYERS = 3
_SIZES = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
_CONVOLUTIONS = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
_LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}  # as XLS-R has them

ARCHITECTURES = ("wav2vec2", "wav2vec2-base", "hubert", "wavlm", "wav2vec2-bert")


def make_checkpoint(architecture: str, folder: str | os.PathLike, seed: int = 0) -> None:
    """Write a checkpoint as `save_pretrained` does: config, safetensors and the feature extractor's settings.

    Args:
        architecture: one of `ARCHITECTURES`. `wav2vec2-base` has the group norm of the small models, which were trained
            without padding masks; the others are built like the large ones.
        seed: draws the weights; the same seed gives the same files.
    """
    kind, config = {
        "wav2vec2": (hf.Wav2Vec2Model, lambda: hf.Wav2Vec2Config(**_SIZES, **_CONVOLUTIONS, **_LARGE)),
        "wav2vec2-base": (hf.Wav2Vec2Model, lambda: hf.Wav2Vec2Config(**_SIZES, **_CONVOLUTIONS)),
        "hubert": (hf.HubertModel, lambda: hf.HubertConfig(**_SIZES, **_CONVOLUTIONS, **_LARGE)),
        "wavlm": (hf.WavLMModel, lambda: hf.WavLMConfig(**_SIZES, **_CONVOLUTIONS, **_LARGE)),
        "wav2vec2-bert": (hf.Wav2Vec2BertModel, lambda: hf.Wav2Vec2BertConfig(**_SIZES)),
    }[architecture]
    if architecture == "wav2vec2-bert":
        extractor = hf.SeamlessM4TFeatureExtractor(sampling_rate=SAMPLE_RATE)
    else:
        masks = architecture != "wav2vec2-base"
        extractor = hf.Wav2Vec2FeatureExtractor(
            sampling_rate=SAMPLE_RATE, do_normalize=True, return_attention_mask=masks
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(address_key(seed, "tiny", architecture) % 2**63)
        model = kind(config())
    with atomic_folder(folder) as temporary:
        model.save_pretrained(temporary)
        extractor.save_pretrained(temporary)
