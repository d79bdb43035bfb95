"""The classifier by cosines and its margin loss, against what the definition says in float64."""

import math

import numpy as np
import pytest
import torch

from srctrace.backends import BACKENDS, create_backend
from srctrace.backends.cosine import CosineClassifier, aam_softmax

SMALL = {"resnet18": {"width": 4}, "ecapa-tdnn": {"channels": 16, "mfa_channels": 24}, "aasist": {"channels": [4]}}


@pytest.mark.parametrize("name", BACKENDS)
def test_every_back_end_can_have_it(name):
    backend = create_backend(name, 40, 5, SMALL[name], scale=8.0).eval()
    with torch.inference_mode():
        embedding, logits = backend(torch.randn(3, 40, 60))
    directions = backend.classifier.weight.detach().numpy()
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    unit = embedding.numpy() / np.linalg.norm(embedding, axis=1, keepdims=True)
    assert np.allclose(logits, 8 * unit @ directions.T, atol=1e-5)


def test_length_says_nothing():
    classifier = CosineClassifier(6, 4, 16.0)
    embedding = torch.randn(2, 6)
    assert torch.allclose(classifier(embedding), classifier(10 * embedding), atol=1e-5)


def by_definition(cosines: np.ndarray, target: int, margin: float, scale: float) -> float:
    logits = scale * cosines
    logits[target] = scale * math.cos(min(math.acos(cosines[target]) + margin, math.pi))
    return float(np.log(np.exp(logits).sum()) - logits[target])


def test_the_loss_is_the_definition_s():
    cosines = np.random.default_rng(0).uniform(-0.99, 0.99, (7, 4))
    cosines[0, 1] = -0.99  # its angle with the margin is beyond half a turn
    targets = np.array([1, 0, 2, 3, 0, 1, 2])
    expected = [by_definition(row.copy(), target, 0.3, 16.0) for row, target in zip(cosines, targets, strict=True)]
    found = aam_softmax(16 * torch.from_numpy(cosines), torch.from_numpy(targets), 0.3, 16.0)
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-9)


def test_without_margin_it_is_cross_entropy():
    logits = 16 * torch.rand(5, 4, dtype=torch.float64)
    targets = torch.tensor([0, 1, 2, 3, 0])
    expected = torch.nn.functional.cross_entropy(logits, targets)
    assert aam_softmax(logits, targets, 0.0, 16.0).item() == pytest.approx(expected.item(), rel=1e-6)


def test_shares_of_classes_weigh_their_losses():
    logits = 16 * (2 * torch.rand(3, 4, dtype=torch.float64) - 1)
    shares = torch.tensor([[0.3, 0.7, 0, 0], [0, 0, 1, 0], [0.5, 0, 0, 0.5]], dtype=torch.float64)
    expected = 0.0
    for row, share in zip(logits, shares, strict=True):
        alone = [aam_softmax(row[None], torch.tensor([label]), 0.2, 16.0) for label in range(4)]
        expected += sum(part * loss for part, loss in zip(share, alone, strict=True)) / 3
    assert aam_softmax(logits, shares, 0.2, 16.0).item() == pytest.approx(expected.item(), rel=1e-9)


def test_the_gradient_is_finite_at_perfect_agreement():
    logits = torch.tensor([[16.0, -16.0, 0.0]], requires_grad=True)
    aam_softmax(logits, torch.tensor([0]), 0.2, 16.0).backward()
    assert torch.isfinite(logits.grad).all()
