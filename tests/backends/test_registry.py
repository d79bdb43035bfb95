"""What every registered back-end promises."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from srctrace.backends import BACKENDS, create_backend
from srctrace.errors import UserError

N_FEATURES, N_CLASSES = 20, 4
SMALL = {
    "resnet18": {"width": 4},
    "ecapa-tdnn": {"channels": 16, "mfa_channels": 48, "bottleneck": 8, "embedding": 24},
    "aasist": {"channels": [4, 4, 8, 8, 8, 8], "attention": 8, "graph": 16, "stack": 16, "time_pools": 1},
}
every_backend = pytest.mark.parametrize("name", BACKENDS)


def small(name: str, **sizes) -> nn.Module:
    torch.manual_seed(1)
    return create_backend(name, N_FEATURES, N_CLASSES, {**SMALL.get(name, {}), **sizes})


def random_features(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


@every_backend
@pytest.mark.parametrize(("batch", "frames"), [(1, 31), (5, 199), (2, 399)])
def test_shapes(name, batch, frames):
    backend = small(name).eval()
    embedding, logits = backend(random_features(batch, N_FEATURES, frames))
    assert embedding.shape == (batch, backend.embedding_size)
    assert logits.shape == (batch, N_CLASSES)


@every_backend
@pytest.mark.parametrize(("n_features", "frames"), [(80, 399), (1024, 199)])
def test_paper_sizes(name, n_features, frames):
    with torch.inference_mode():
        embedding, logits = create_backend(name, n_features, 6, {}).eval()(random_features(1, n_features, frames))
    assert embedding.isfinite().all()
    assert logits.shape == (1, 6)


@every_backend
def test_logits_are_linear_in_the_embedding(name):
    """No batch-norm over the logits, as the published ECAPA-TDNN of the benchmark has."""
    backend = small(name).eval()
    embedding, logits = backend(random_features(3, N_FEATURES, 99))
    torch.testing.assert_close(backend.classifier(embedding), logits)
    assert isinstance(backend.classifier, nn.Linear)


@every_backend
def test_every_parameter_has_a_gradient(name):
    """In double precision, where what cancels is far below 1e-10, and with fixed statistics in the batch-norms."""
    backend = small(name).double()
    for module in backend.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics are those of the one batch seen
    features = random_features(6, N_FEATURES, 99).double()
    backend(features)
    backend.eval()
    embedding, logits = backend(features + 0.1)
    (functional.cross_entropy(logits, torch.arange(6) % N_CLASSES) + embedding.square().mean()).backward()
    dead = [name for name, p in backend.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-10]
    assert dead == []


@every_backend
def test_constant_input_trains_without_nan(name):
    backend = small(name)
    embedding, logits = backend(torch.full((2, N_FEATURES, 60), 3.0))
    functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert embedding.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in backend.parameters())


@every_backend
def test_evaluation_is_the_same_each_time_alone_and_in_any_order(name):
    backend = small(name)
    for _ in range(3):  # so that the running statistics are not those of a fresh model
        backend(random_features(8, N_FEATURES, 99))
    backend.eval()
    features = random_features(4, N_FEATURES, 130)
    embedding, logits = backend(features)
    again = backend(features)
    assert torch.equal(again[0], embedding)
    assert torch.equal(again[1], logits)
    alone = torch.cat([backend(one)[1] for one in features.split(1)])
    torch.testing.assert_close(alone, logits, atol=1e-4, rtol=1e-4)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(backend(features[order])[1], logits[order], atol=1e-4, rtol=1e-4)


@every_backend
def test_training_is_the_same_from_the_same_seed(name):
    assert torch.equal(*(overfit(small(name), steps=2)[0] for _ in range(2)))


@every_backend
def test_overfits_a_batch(name):
    backend = small(name, **({"dropout": 0.0} if name == "aasist" else {}))
    logits, labels = overfit(backend, steps=50)
    assert functional.cross_entropy(logits, labels) < 0.1


def overfit(backend: nn.Module, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of eight utterances after training on them, and their labels. Each class has a loud band."""
    features, labels = random_features(8, N_CLASSES, N_FEATURES // N_CLASSES, 60), torch.arange(8) % N_CLASSES
    features[torch.arange(8), labels] += 1
    features = features.flatten(1, 2)  # (8, N_FEATURES, 60)
    optimiser = torch.optim.Adam(backend.parameters(), lr=5e-3)
    torch.manual_seed(3)
    for _ in range(steps):
        optimiser.zero_grad()
        functional.cross_entropy(backend(features)[1], labels).backward()
        optimiser.step()
    return backend.eval()(features)[1].detach(), labels


@every_backend
def test_options_are_frozen_documented_and_optional(name):
    options = BACKENDS[name].options()
    fields = dataclasses.fields(options)
    assert all(field.metadata["help"] for field in fields)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(options, fields[0].name, 1)
    as_json = {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(options).items()}
    spelled_out, default = (create_backend(name, N_FEATURES, N_CLASSES, sizes) for sizes in (as_json, {}))
    assert [p.shape for p in spelled_out.parameters()] == [p.shape for p in default.parameters()]


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("resnet", {}, "no back-end 'resnet'; there are: resnet18, ecapa-tdnn, aasist"),
        ("resnet18", {"widht": 4}, "back-end 'resnet18' has no size 'widht'; it has: width"),
        ("resnet18", {"width": "4"}, "size 'width' must be int at least 1, not '4'"),
        ("resnet18", {"width": 4.0}, "size 'width' must be int at least 1, not 4.0"),
        ("resnet18", {"width": True}, "size 'width' must be int at least 1, not True"),
        ("resnet18", {"width": None}, "size 'width' must be int at least 1, not None"),
        ("resnet18", {"width": 0}, "size 'width' must be int at least 1, not 0"),
        ("ecapa-tdnn", {"scale": 1}, "size 'scale' must be int at least 2, not 1"),
        ("ecapa-tdnn", {"channels": 30}, "channels (30) must be a multiple of scale (8)"),
        ("aasist", {"projection": 0}, "size 'projection' must be int at least 1, or null, not 0"),
        ("aasist", {"channels": 32}, "size 'channels' must be a list of int, each at least 1, not 32"),
        ("aasist", {"channels": []}, "size 'channels' must be a list of int, each at least 1, not []"),
        ("aasist", {"channels": [8, 0]}, "size 'channels' must be a list of int, each at least 1, not [8, 0]"),
        ("aasist", {"dropout": float("nan")}, "size 'dropout' must be float from 0.0 to 1.0, not nan"),
        ("aasist", {"time_pools": 7}, "time_pools (7) is more than the 6 blocks"),
    ],
)
def test_what_is_wrong_is_said(name, sizes, message):
    with pytest.raises(UserError) as error:
        create_backend(name, N_FEATURES, N_CLASSES, sizes)
    assert message in str(error.value)


def test_whole_numbers_are_numbers():
    assert create_backend("aasist", N_FEATURES, N_CLASSES, {"dropout": 0}).dropout == 0
