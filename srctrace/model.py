"""A system: front-end features, standardised, into a back-end."""

import torch
from torch import Tensor, nn

from srctrace.backends import create_backend


class SourceTracer(nn.Module):
    """Standardises features per coefficient, then runs the back-end.

    The mean and deviation are those of the training set and are part of the weights.
    """

    def __init__(self, n_features: int, n_sources: int, backend: str, sizes: dict):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features, 1))
        self.register_buffer("deviation", torch.ones(n_features, 1))
        self.backend = create_backend(backend, n_features, n_sources, sizes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, n_features, frames)` to an embedding `(batch, size)` and logits `(batch, n_sources)`."""
        return self.backend((features - self.mean) / self.deviation)

    def fit_standardisation(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the statistics: `(n_features,)` each. A coefficient that does not vary is left at its scale."""
        self.mean.copy_(mean[:, None])
        self.deviation.copy_(torch.where(deviation > 0, deviation, torch.ones_like(deviation))[:, None])
