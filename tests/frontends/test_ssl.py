"""SSL front-ends: hidden states as transformers gives them, alone or padded in a batch, trained or kept."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel

from srctrace.checkpoint import Description, build
from srctrace.errors import UserError
from srctrace.frontends.ssl import SslEncoder, load_encoder, read_pinned
from srctrace.frontends.tiny import ARCHITECTURES, HIDDEN, LAYERS, make_checkpoint
from srctrace.frontends.weights import locate, pin

SAMPLES = 64_000
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def pinned(tmp_path_factory):
    """Architecture to its pinned record."""
    root = tmp_path_factory.mktemp("checkpoints")
    found = {}
    for architecture in ARCHITECTURES:
        make_checkpoint(architecture, root / architecture, seed=3)
        pin(str(root / architecture), "main", root / f"{architecture}.json")
        found[architecture] = read_pinned(root / f"{architecture}.json")
    return found


def encoder_of(pinned, layers="last") -> SslEncoder:
    return load_encoder(locate(pinned), pinned, layers).eval()


def waves(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [(0.2 * rng.normal(size=length) + 0.05).astype(np.float32) for length in lengths]


def theirs(pinned, wave: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Hidden states of all layers, then the last one's, as transformers' own classes give them: `(frames, hidden)`."""
    folder = pinned["checkpoint"]
    extractor, model = AutoFeatureExtractor.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        output = model(**extractor([wave], sampling_rate=16_000, return_tensors="pt"), output_hidden_states=True)
    return *(hidden[0] for hidden in output.hidden_states), output.last_hidden_state[0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hidden_states_are_those_of_transformers(pinned, architecture):
    (wave,) = waves(SAMPLES)
    *every, last = theirs(pinned[architecture], wave)
    assert len(every) == LAYERS + 1
    with torch.inference_mode():
        inputs = torch.from_numpy(wave)[None]
        found = encoder_of(pinned[architecture])(inputs)
        assert found.shape == (1, HIDDEN, 199)
        torch.testing.assert_close(found[0].T, last, atol=2e-5, rtol=1e-5)
        weighted = encoder_of(pinned[architecture], "weighted")(inputs)
        assert weighted.shape == (1, LAYERS + 1, HIDDEN, 199)
        for layer in range(LAYERS + 1):
            torch.testing.assert_close(weighted[0, layer].T, every[layer], atol=2e-5, rtol=1e-5)
            one = encoder_of(pinned[architecture], layer)
            assert len(one.model.encoder.layers) == max(1, layer)  # those above are not computed
            torch.testing.assert_close(one(inputs)[0].T, every[layer], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("layers", ["last", "weighted"])
def test_padding_changes_nothing(pinned, architecture, layers):
    lengths = (20_123, SAMPLES, 9_000, 33_333, 9_000, 16_000)
    encoder = encoder_of(pinned[architecture], layers)
    audio = waves(*lengths)
    together = dict(pair for batch in encoder.encode(audio, batch_seconds=9) for pair in zip(*batch, strict=True))
    assert sorted(together) == list(range(len(lengths)))
    for index, wave in enumerate(audio):
        with torch.inference_mode():
            alone = encoder(torch.from_numpy(wave)[None])[0]
        assert alone.shape[-1] == encoder.frames(len(wave))
        torch.testing.assert_close(together[index], alone, atol=5e-5, rtol=1e-4)


def test_batches_are_of_like_lengths_and_bounded(pinned):
    encoder = encoder_of(pinned["wav2vec2"])
    audio = waves(16_000, 48_000, 16_000, 32_000, 200_000)
    batches = [found[0] for found in encoder.encode(audio, batch_seconds=4)]
    assert batches == [[0, 2], [3], [1], [4]]
    base = encoder_of(pinned["wav2vec2-base"])
    assert [found[0] for found in base.encode(audio, batch_seconds=100)] == [[0, 2], [3], [1], [4]]
    with pytest.raises(ValueError, match="no padding masks"):
        base(torch.zeros(2, SAMPLES), [SAMPLES, SAMPLES // 2])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rate_and_frames(pinned, architecture):
    encoder = encoder_of(pinned[architecture])
    assert encoder.hop_length == 320
    assert encoder.frames(SAMPLES) == 199


@pytest.mark.parametrize("architecture", ["wav2vec2", "wavlm"])
def test_a_checkpoint_without_normalisation_gets_none(pinned, architecture, tmp_path):
    folder = tmp_path / "raw"
    make_checkpoint(architecture, folder, seed=3)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(settings | {"do_normalize": False}))
    pin(str(folder), "main", tmp_path / "raw.json")
    raw = encoder_of(read_pinned(tmp_path / "raw.json"))
    (wave,) = waves(SAMPLES)
    inputs = torch.from_numpy(wave)[None]
    with torch.inference_mode():
        torch.testing.assert_close(raw(inputs)[0].T, theirs(raw.description, wave)[-1], atol=2e-5, rtol=1e-5)
        assert not torch.allclose(raw(inputs), encoder_of(pinned[architecture])(inputs), atol=1e-3)
        normal = encoder_of(pinned[architecture])
        torch.testing.assert_close(normal(inputs), normal(3 * inputs + 0.1), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("encoder_kept", "layers"), [(False, 0), (True, 0), (False, 2)])
def test_what_is_frozen_stays_and_the_rest_is_trained(pinned, architecture, encoder_kept, layers):
    encoder = encoder_of(pinned[architecture])
    encoder.freeze(encoder_kept, layers)
    encoder.train()
    before = {name: parameter.detach().clone() for name, parameter in encoder.named_parameters()}
    optimizer = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=1.0)
    encoder(torch.from_numpy(np.stack(waves(16_000, 16_000)))).square().sum().backward()
    optimizer.step()
    changed = {name for name, parameter in encoder.named_parameters() if not torch.equal(parameter, before[name])}
    lowest = ["model.feature_", "model.encoder.pos_", "model.encoder.layers.0.", "model.encoder.layers.1."]
    if architecture == "wav2vec2-base":
        lowest.append("model.encoder.layer_norm")  # it is before the layers there
    assert any(name.startswith(f"model.encoder.layers.{LAYERS - 1}.") for name in changed)
    if layers:
        assert not [name for name in changed if name.startswith(tuple(lowest))]
        assert not encoder.model.encoder.dropout.training
        assert encoder.model.encoder.layers[2].training
    else:
        assert any(name.startswith("model.encoder.layers.0.") for name in changed)
        below = "model.feature_projection" if architecture == "wav2vec2-bert" else "model.feature_extractor"
        assert any(name.startswith(below) for name in changed) != encoder_kept


def test_too_many_frozen_layers_are_refused(pinned):
    with pytest.raises(UserError, match=f"freeze_layers is {LAYERS + 1}, but .* has {LAYERS} layers"):
        encoder_of(pinned["hubert"]).freeze(False, LAYERS + 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("layers", ["last", "weighted", 2])
def test_gradient_checkpointing_changes_no_gradient(pinned, architecture, layers):
    inputs = torch.from_numpy(np.stack(waves(16_000, 16_000)))
    gradients = []
    for checkpointing in (False, True):
        encoder = encoder_of(pinned[architecture], layers)
        if checkpointing:
            encoder.recompute()
        encoder.train()
        computed = []
        part = next(encoder.model.encoder.layers[0].children())  # hooks of the layer itself are not run twice
        part.register_forward_pre_hook(lambda *_, seen=computed: seen.append(1))
        torch.manual_seed(1)  # dropout
        (encoder(inputs) * torch.linspace(-1, 1, HIDDEN)[:, None]).square().sum().backward()
        assert len(computed) == 1 + checkpointing
        gradients.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_is_built_again_from_its_description(pinned, architecture):
    """As a fine-tuned model is, where the checkpoint it began with is not there."""
    encoder = encoder_of(pinned[architecture], 2)
    description = Description(
        "x-ecapa-tdnn", {}, HIDDEN, "ecapa-tdnn", {"channels": 16}, ["a", "b"], {}, {}, 0,
        json.loads(json.dumps(encoder.description)),
    )  # fmt: skip
    again = build(description).ssl
    again.load_state_dict(encoder.state_dict())
    inputs = torch.from_numpy(np.stack(waves(16_000, 16_000)))
    with torch.inference_mode():
        assert torch.equal(again.eval()(inputs), encoder(inputs))


@pytest.mark.parametrize("architecture", ["wav2vec2", "wav2vec2-bert"])
def test_a_checkpoint_in_half_precision_is_one_in_single_precision_from_then_on(architecture, tmp_path):
    make_checkpoint(architecture, tmp_path / "whole", seed=3)
    AutoModel.from_pretrained(tmp_path / "whole").half().save_pretrained(tmp_path / "half")
    shutil.copy(tmp_path / "whole" / "preprocessor_config.json", tmp_path / "half")
    pin(str(tmp_path / "half"), "main", tmp_path / "half.json")
    encoder = encoder_of(read_pinned(tmp_path / "half.json"))
    again = SslEncoder(json.loads(json.dumps(encoder.description)))
    again.load_state_dict(encoder.state_dict())
    inputs = torch.from_numpy(np.stack(waves(16_000, 16_000)))
    with torch.inference_mode():
        assert torch.equal(again.eval()(inputs), encoder(inputs))
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("samples", [16_000, 16_160, 16_319])
def test_as_many_frames_as_are_said(pinned, architecture, samples):
    encoder = encoder_of(pinned[architecture])
    with torch.inference_mode():
        assert encoder(torch.zeros(1, samples)).shape[-1] == encoder.frames(samples)


def test_nothing_is_drawn_in_training_but_dropout(pinned):
    """SpecAugment and layer drop draw from generators that are not ours."""
    encoder = encoder_of(pinned["wav2vec2"])
    assert not encoder.model.config.apply_spec_augment
    assert not encoder.model.config.layerdrop
    for module in encoder.train().modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    encoder.model.config.attention_dropout = 0.0
    for layer in encoder.model.encoder.layers:
        layer.attention.dropout = 0.0
    inputs = torch.from_numpy(np.stack(waves(16_000, 16_000)))
    with torch.no_grad():
        assert torch.equal(encoder(inputs), encoder(inputs))


def test_attention_is_fused_where_it_can_be(pinned):
    used = {name: encoder_of(record).model.config._attn_implementation for name, record in pinned.items()}
    assert used == dict.fromkeys(ARCHITECTURES, "sdpa") | {"wavlm": "eager"}  # its relative positions are gated


@pytest.mark.parametrize("layers", [-1, LAYERS + 1])
def test_a_layer_that_is_not_there_is_named(pinned, layers):
    with pytest.raises(UserError, match=f"has the layers 0 to {LAYERS}, last and weighted"):
        encoder_of(pinned["wav2vec2"], layers)


def test_missing_weights_are_told(pinned, tmp_path):
    from safetensors.torch import load_file, save_file

    make_checkpoint("wav2vec2", tmp_path / "half", seed=3)
    weights = load_file(tmp_path / "half" / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layers.1." not in name}
    save_file(kept, tmp_path / "half" / "model.safetensors", {"format": "pt"})
    pin(str(tmp_path / "half"), "main", tmp_path / "half.json")
    with pytest.raises(UserError, match=r"20 weights are missing in .*encoder\.layers\.1\."):
        encoder_of(read_pinned(tmp_path / "half.json"))


@pytest.mark.parametrize("architecture", ["wav2vec2", "wavlm", "hubert", "wav2vec2-bert"])
def test_golden_hidden_states(architecture):
    """A fixed checkpoint on a fixed signal gives stored values: an upgrade that changes them is seen here.

    The files were written with transformers 5.23 and torch 2.11 by `tests/frontends/golden/make.py`.
    """
    from tests.frontends.golden.make import signal

    record = read_pinned(GOLDEN / f"{architecture}.json")
    encoder = load_encoder(GOLDEN / architecture, record, "weighted").eval()
    with torch.inference_mode():
        found = encoder(torch.from_numpy(signal())[None])[0, :, :, ::20]
    expected = torch.from_numpy(np.load(GOLDEN / f"{architecture}.npy"))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("extractor", "feature_extractor_type", "pipeline"), ("config", "model_type", "llama")],
)
def test_what_a_model_names_is_not_simply_called(part, key, value, tmp_path):
    """A model's description may come from anywhere."""
    make_checkpoint("wav2vec2", tmp_path / "checkpoint")
    pin(str(tmp_path / "checkpoint"), "main", tmp_path / "checkpoint.json")
    pinned = read_pinned(tmp_path / "checkpoint.json")
    description = load_encoder(locate(pinned), pinned, "last").description
    SslEncoder(description)
    with pytest.raises(UserError, match=f"{value}.*known are wav2vec2"):
        SslEncoder({**description, part: {**description[part], key: value}})
