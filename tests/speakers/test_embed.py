"""Speaker embeddings: of statistics, and of tiny x-vector models with random weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from srctrace.errors import UserError
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.rng import generator
from srctrace.speakers.embed import embed_waves, open_embeddings
from srctrace.store import open_store, write_store

COUNT = 19  # more than a batch

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "tdnn_dim": [12, 12],
    "tdnn_kernel": [3, 1],
    "tdnn_dilation": [1, 1],
    "xvector_output_dim": 10,
    "initializer_range": 0.5,
}


@pytest.fixture
def waves(tmp_path) -> Path:
    """A store of noise, an utterance louder than the other."""
    rng = generator("waves to embed")
    noise = [(rng.standard_normal(8000) * 300 * (1 + index)).astype(np.int16) for index in range(COUNT)]
    records = (({"utterance": f"u{index}"}, wave) for index, wave in enumerate(noise))
    write_store(tmp_path / "waves.npy", ["utterance"], records)
    return tmp_path / "waves.npy"


def embed(waves: Path, model: str = "") -> np.ndarray:
    out = waves.with_name("embeddings.npy")
    embed_waves(waves, out, model, device="cpu", threads=1)
    store, _ = open_embeddings(out)
    assert [row["utterance"] for row in store.rows] == [f"u{index}" for index in range(COUNT)]
    assert store.array.dtype == np.float32
    return np.stack([store.record(index) for index in range(COUNT)])


def test_without_a_model_embeddings_are_means_and_deviations(waves):
    found = embed(waves)
    assert open_embeddings(waves.with_name("embeddings.npy"))[1] == "LFCC statistics"
    for vector, wave in zip(found, open_store(waves).array, strict=True):
        features = lfcc(wave[np.newaxis], LfccOptions())[0].astype(np.float64)
        np.testing.assert_allclose(vector[:80], features.mean(axis=1), rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(vector[80:], features.std(axis=1), rtol=1e-5, atol=1e-4)


def save_model(folder: Path, kind: str, head: str = "ForXVector", sampling_rate: int = 16000) -> str:
    """A tiny model with random weights, as transformers saves one."""
    transformers = pytest.importorskip("transformers", reason="x-vector models are optional")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = getattr(transformers, kind + head)(getattr(transformers, f"{kind}Config")(**SIZES))
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=sampling_rate, do_normalize=True).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["WavLM", "Wav2Vec2"])
def test_x_vectors_are_the_models_own(kind, waves, tmp_path):
    name = save_model(tmp_path / "model", kind)
    found = embed(waves, name)
    made = json.loads(waves.with_name("embeddings.json").read_text())
    assert (made["embedding"], made["architecture"]) == (name, f"{kind}ForXVector")
    import torch
    import transformers

    model = getattr(transformers, f"{kind}ForXVector").from_pretrained(name).eval()
    for index in (0, COUNT - 1):  # alone, and brought to mean 0 and variance 1 by hand
        wave = torch.from_numpy(open_store(waves).array[index].astype(np.float32) / 32768)
        with torch.no_grad():
            alone = model(((wave - wave.mean()) / (wave.var(correction=0) + 1e-7).sqrt())[None]).embeddings[0]
        np.testing.assert_allclose(found[index], alone.numpy(), rtol=1e-3, atol=1e-3 * found.std())
    assert (found.std(axis=0) > 0.01 * np.abs(found).mean()).all()


def test_a_model_without_its_x_vector_head_is_refused(waves, tmp_path):
    name = save_model(tmp_path / "model", "WavLM", head="Model")
    with pytest.raises(UserError, match=r"weights are missing or of another shape.*no x-vector model"):
        embed(waves, name)


def test_another_sample_rate_is_refused(waves, tmp_path):
    with pytest.raises(UserError, match="listens at 8000 Hz"):
        embed(waves, save_model(tmp_path / "model", "Wav2Vec2", sampling_rate=8000))


def test_pickled_weights_are_not_read(waves, tmp_path):
    name = save_model(tmp_path / "model", "Wav2Vec2")
    import torch
    from safetensors.torch import load_file

    weights = tmp_path / "model" / "model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(UserError, match=r"(?s)cannot be loaded.*safetensors.*save_pretrained"):
        embed(waves, name)
    weights.write_bytes(b"not this")
    with pytest.raises(UserError, match="cannot be loaded"):
        embed(waves, name)


def test_a_name_that_cannot_be_had_says_how_to_fetch_it(waves, monkeypatch):
    pytest.importorskip("transformers", reason="x-vector models are optional")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"(?s)hf download nobody/no-such-model --local-dir data/models/no-such-model"):
        embed(waves, "nobody/no-such-model")
