"""A system: front-end features, standardised, into a back-end."""

import torch
from torch import Tensor, nn

from srctrace.backends import create_backend


class SourceTracer(nn.Module):
    """Standardises features per coefficient, then runs the back-end.

    The features are given, or those of an SSL front-end that is trained with the rest. Where they are those of several
    layers, each layer is standardised, and their weighted sum is taken; the weights are learned, and sum to 1. The mean
    and deviation are those of the training set before training, and are part of the weights.
    """

    def __init__(
        self,
        n_features: int,
        n_sources: int,
        backend: str,
        sizes: dict,
        n_layers: int = 0,
        ssl: nn.Module | None = None,
        scale: float = 0.0,
    ):
        """`n_layers`: how many layers the features have; 0 where they have no such axis. `scale`: see the back-ends."""
        super().__init__()
        shape = (n_layers, n_features, 1) if n_layers else (n_features, 1)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))
        self.backend = create_backend(backend, n_features, n_sources, sizes, scale)
        self.layer_weights = nn.Parameter(torch.zeros(n_layers)) if n_layers else None  # before a softmax
        self.ssl = ssl

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Features `(batch, [layers,] n_features, frames)`, or waveforms `(batch, samples)` with an SSL front-end.

        Returns:
            An embedding `(batch, size)` and logits `(batch, n_sources)`.
        """
        features = inputs if self.ssl is None else self.ssl(inputs)
        features = (features - self.mean) / self.deviation
        if self.layer_weights is not None:
            features = torch.einsum("l,blft->bft", self.layer_weights.softmax(dim=0), features)
        return self.backend(features)

    def fit_standardisation(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the statistics: `([layers,] n_features)` each. A coefficient that does not vary is left at its scale."""
        self.mean.copy_(mean[..., None])
        self.deviation.copy_(torch.where(deviation > 0, deviation, torch.ones_like(deviation))[..., None])
