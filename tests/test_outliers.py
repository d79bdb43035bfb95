"""Outliers made of trials: of no source, and made again in the same way."""

import numpy as np
import pytest
import torch

from srctrace import outliers
from srctrace.outliers import make_outliers


def batch(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("shape", [(12, 40, 30), (12, 3, 16, 20), (2, 2, 5)])
def test_shape_and_draws(shape):
    features, labels = batch(*shape), torch.arange(shape[0]) % 3
    made = make_outliers(features, labels, np.random.default_rng(1))
    assert made.shape == features.shape
    assert torch.isfinite(made).all()
    assert torch.equal(made, make_outliers(features, labels, np.random.default_rng(1)))
    assert not torch.equal(made, make_outliers(features, labels, np.random.default_rng(2)))
    assert all(not torch.equal(one, own) for one, own in zip(made, features, strict=True))


def test_partners_are_of_other_sources():
    """Sources are constants: what is spliced or mixed has parts of two, and is never made of one."""
    labels = torch.tensor([0, 0, 0, 1])
    features = labels[:, None, None].float().expand(4, 20, 8).contiguous()
    rng = np.random.default_rng(0)
    for _ in range(20):
        for way in (outliers._splice, outliers._mix):
            made = way(features[0], features[3], rng)
            assert 0 < made.mean() < 1
    alone = make_outliers(features[:3], labels[:3], rng)  # nobody else: liftered or blurred, and zero stays zero
    assert torch.equal(alone, torch.zeros_like(alone))


def test_lower_features_are_kept():
    own, other = batch(20, 8), batch(20, 8) + 5
    rng = np.random.default_rng(0)
    for _ in range(20):
        for made in (outliers._splice(own, other, rng), outliers._lifter(own, rng)):
            assert torch.equal(made[: outliers.LOWEST_CUT], own[: outliers.LOWEST_CUT])
            assert not torch.equal(made[10:], own[10:])


def test_blurring_is_a_moving_average():
    own = batch(3, 50).double()
    made = outliers._blur(own, np.random.default_rng(0)).numpy()
    widths = range(outliers.WIDTHS[0], outliers.WIDTHS[1] + 1, 2)
    by_width = [
        np.stack([np.convolve(row, np.ones(width) / width, "valid") for row in own.numpy()]) for width in widths
    ]
    assert any(
        np.allclose(made[:, width // 2 : 50 - width // 2], each) for width, each in zip(widths, by_width, strict=True)
    )
