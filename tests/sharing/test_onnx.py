"""The back-ends as ONNX: what onnxruntime makes of features is what torch does."""

import json
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from srctrace.checkpoint import load_checkpoint
from srctrace.errors import UserError
from srctrace.frontends.ssl import load_encoder, read_pinned
from srctrace.frontends.tiny import make_checkpoint
from srctrace.frontends.weights import pin
from srctrace.sharing import onnx as writing
from srctrace.sharing.export import export
from srctrace.sharing.onnx import write_onnx
from tests.sharing.making import FRAMES, LFCC, SOURCES, describe, make_model


def run(path, features: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["embedding", "logits"], {"features": features.numpy()})


def differences(path, model, features: torch.Tensor) -> float:
    with torch.inference_mode():
        return max(
            float(np.abs(ours.numpy() - other).max())
            for ours, other in zip(model(features), run(path, features), strict=True)
        )


def metadata_of(path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


@pytest.mark.parametrize(("backend", "n_layers"), [("resnet18", 0), ("ecapa-tdnn", 3), ("aasist", 0)])
def test_it_gives_what_torch_gives(tmp_path, backend, n_layers):
    make_model(tmp_path, describe(backend, n_layers=n_layers))
    model, description = load_checkpoint(tmp_path)
    path = tmp_path / "backend.onnx"
    metadata = write_onnx(path, model, description)
    shape = (n_layers, 24) if n_layers else (24,)
    any_length = backend != "aasist"
    for count in (1, 2, 7):
        for frames in (FRAMES, 33, 120) if any_length else (FRAMES,):
            assert differences(path, model, 3 * torch.randn(count, *shape, frames)) < 1e-5
    graph = onnx.load(path).graph
    axes = [axis.dim_param or axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["batch", *shape, "frames" if any_length else FRAMES]
    assert metadata == metadata_of(path)
    assert metadata["frames"] == ("any" if any_length else str(FRAMES))
    assert float(metadata["max_abs_difference"]) < 1e-5
    assert json.loads(metadata["sources"]) == SOURCES
    assert json.loads(metadata["frontend"]) == LFCC
    if not any_length:
        with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
            run(path, torch.randn(1, *shape, FRAMES + 1))


def test_of_a_fine_tuned_model_it_is_what_comes_after_the_encoder(tmp_path):
    make_checkpoint("wav2vec2", tmp_path / "tiny")
    pin(str(tmp_path / "tiny"), "", tmp_path / "pinned.json")
    encoder = load_encoder(tmp_path / "tiny", read_pinned(tmp_path / "pinned.json"), "weighted").eval()
    described = describe(
        "aasist",
        frontend={"frontend": "waves", "sample_rate": 16000, "seed": 1, "seconds": 0.5},
        n_features=encoder.n_features,
        n_layers=encoder.n_layers,
        ssl=encoder.description,
    )
    model, description = load_checkpoint(make_model(tmp_path / "model", described))
    waves = torch.randn(2, 8000)
    with torch.inference_mode():
        hidden, expected = model.ssl(waves), model(waves)
    metadata = write_onnx(tmp_path / "backend.onnx", model, description)
    assert metadata["frames"] == str(hidden.shape[-1])
    assert json.loads(metadata["encoder"])["layers"] == "weighted"
    for ours, other in zip(expected, run(tmp_path / "backend.onnx", hidden), strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-5)


def test_an_export_has_it_the_same_every_time_and_tells_no_path(tmp_path):
    make_model(tmp_path / "model")
    for name in ("a.zip", "b.zip"):
        export(tmp_path / "model", tmp_path / name, "other", onnx=True)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        content, card = (archive.read(f"lfcc-resnet18-de-seed1/{name}") for name in ("onnx/backend.onnx", "README.md"))
    assert b".py" not in content
    assert b"/srctrace/" not in content
    assert b"input `features` of shape `(batch, 24, frames)`, with any number of frames" in card


def test_what_differs_is_not_written(tmp_path, monkeypatch):
    make_model(tmp_path / "model")
    monkeypatch.setattr(writing, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match="not written: its embedding differs by"):
        export(tmp_path / "model", tmp_path / "out", "other", onnx=True)
    assert not (tmp_path / "out").exists()
