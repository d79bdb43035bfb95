"""Trials of no source, made of training trials: what a model is to be unsure of.

Outlier exposure (Hendrycks, Mazeika and Dietterich, ICLR 2019) shows a model examples of no class in training, and asks
for the same probability of every class. It wants examples that are near the classes and in none. These are made from
features of known sources, so that no further source is needed, and none that serves a test: each keeps what is speech
and has what a source leaves in it replaced, mixed, scaled or blurred. On LFCCs that is to edit the cepstrum.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

LOWEST_CUT = 4  # features below are those of level and tilt: without them it would be no speech
SHARES = (0.3, 0.7)  # of one of two trials that are mixed
GAINS = (0.2, 0.7)  # of the higher features, or the inverse
WIDTHS = (5, 11)  # frames that are averaged


def make_outliers(features: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
    """One outlier from each trial of a batch, in one of four ways, drawn for each.

    Spliced: lower features of one source, higher ones of another. Mixed: the mean of two sources. Liftered: higher
    features weaker or stronger. Blurred: averaged over neighbouring frames. A trial without another source in the batch
    is liftered or blurred.

    Args:
        features: `(batch, [layers,] n_features, frames)`.
        labels: `(batch,)`.

    Returns:
        Of the shape of `features`.
    """
    made = []
    numbers = labels.tolist()
    for index, own in enumerate(features):
        others = [other for other, label in enumerate(numbers) if label != numbers[index]]
        if others and rng.random() < 0.5:
            other = features[others[int(rng.integers(len(others)))]]
            made.append(_drawn(rng, _splice, _mix)(own, other, rng))
        else:
            made.append(_drawn(rng, _lifter, _blur)(own, rng))
    return torch.stack(made)


def _drawn(rng: np.random.Generator, *ways: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return ways[int(rng.integers(len(ways)))]


def _cut(features: Tensor, rng: np.random.Generator) -> int:
    n_features = features.shape[-2]
    return int(rng.integers(min(LOWEST_CUT, n_features // 2), max(n_features // 2, 1) + 1))


def _splice(own: Tensor, other: Tensor, rng: np.random.Generator) -> Tensor:
    cut = _cut(own, rng)
    return torch.cat([own[..., :cut, :], other[..., cut:, :]], dim=-2)


def _mix(own: Tensor, other: Tensor, rng: np.random.Generator) -> Tensor:
    share = float(rng.uniform(*SHARES))
    return share * own + (1 - share) * other


def _lifter(own: Tensor, rng: np.random.Generator) -> Tensor:
    cut = _cut(own, rng)
    gain = float(np.exp(rng.uniform(*np.log(GAINS))))
    if rng.random() < 0.3:
        gain = 1 / gain
    return torch.cat([own[..., :cut, :], gain * own[..., cut:, :]], dim=-2)


def _blur(own: Tensor, rng: np.random.Generator) -> Tensor:
    half = int(rng.integers(WIDTHS[0] // 2, WIDTHS[1] // 2 + 1))
    rows = own.reshape(1, -1, own.shape[-1])
    padded = functional.pad(rows, (half, half), mode="replicate")
    return functional.avg_pool1d(padded, 2 * half + 1, stride=1).reshape(own.shape)
