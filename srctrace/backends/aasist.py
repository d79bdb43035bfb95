"""AASIST (Jung et al., "AASIST: audio anti-spoofing using integrated spectro-temporal graph attention networks", ICASSP
2022) on features, as Tak et al. (Odyssey 2022) put it on SSL features and the multilingual benchmark on LFCC too.

Unlike in the published code of the benchmark, the batch-norm and activation that open a residual block are used, the
position of a frequency is a parameter rather than a random draw at each call, and there are no parameters that a
batch-norm or softmax would cancel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from srctrace.backends.graph import GraphAttention, GraphPool, HeterogeneousAttention
from srctrace.backends.sizes import size
from srctrace.errors import UserError

POOL = 3  # of the features, along both axes, and of the frames, in blocks that pool
DROP_BRANCH = 0.2  # of what the two branches hand on, as published


@dataclass(frozen=True)
class AasistOptions:
    """Sizes of AASIST. The defaults are the benchmark's, on LFCC and on SSL features."""

    projection: int | None = size(128, "more features than this are projected to this many; null: never")
    channels: tuple[int, ...] = size((32, 32, 64, 64, 64, 64), "channels of the residual blocks, one after the other")
    time_pools: int = size(0, "how many residual blocks, from the first, pool frames by 3 (the original: all)", low=0)
    attention: int = size(128, "inner size of the attention that makes the two graphs")
    graph: int = size(64, "size of a node after the graph attention")
    stack: int = size(32, "size of a node after the heterogeneous graph attentions")
    ratio: float = size(0.5, "part of the nodes that a graph pooling keeps", low=0.0, high=1.0)
    graph_temperature: float = size(2.0, "temperature of the graph attentions", low=0.01)
    stack_temperature: float = size(100.0, "temperature of the heterogeneous graph attentions", low=0.01)
    dropout: float = size(0.5, "dropout before the classifier", low=0.0, high=1.0)

    def __post_init__(self):
        if self.time_pools > len(self.channels):
            raise UserError(f"AASIST: time_pools ({self.time_pools}) is more than the {len(self.channels)} blocks")


class Aasist(nn.Module):
    """A residual encoder, a graph of frequencies and one of times, and attention within and across them."""

    def __init__(self, n_features: int, n_classes: int, options: AasistOptions):
        """Raises UserError where there are fewer than three features."""
        super().__init__()
        self.embedding_size = 5 * options.stack
        self.dropout = options.dropout
        self.min_frames = POOL ** (options.time_pools + 1)
        self.projection = None
        if options.projection is not None and n_features > options.projection:
            self.projection = nn.Linear(n_features, options.projection)
            n_features = options.projection
        if n_features < POOL:
            raise UserError(f"AASIST needs at least {POOL} features, not {n_features}")

        channels = options.channels[-1]
        self.input_norm = nn.BatchNorm2d(1)
        self.encoder = nn.Sequential()
        for i, (n_in, n_out) in enumerate(zip((1, *options.channels), options.channels, strict=False)):
            self.encoder.append(ResidualBlock(n_in, n_out, first=i == 0))
            if i < options.time_pools:
                self.encoder.append(nn.MaxPool2d((1, POOL)))
        self.encoder.append(nn.BatchNorm2d(channels))
        self.encoder.append(nn.SELU(inplace=True))
        self.attention = nn.Sequential(
            nn.Conv2d(channels, options.attention, 1),
            nn.SELU(inplace=True),
            nn.BatchNorm2d(options.attention, affine=False),  # the softmax would cancel a shift, here as below
            nn.Conv2d(options.attention, channels, 1, bias=False),
        )

        self.position = nn.Parameter(torch.randn(n_features // POOL, channels))
        self.spectral = nn.Sequential(
            GraphAttention(channels, options.graph, options.graph_temperature), GraphPool(options.graph, options.ratio)
        )
        self.temporal = nn.Sequential(
            GraphAttention(channels, options.graph, options.graph_temperature), GraphPool(options.graph, options.ratio)
        )
        self.branches = nn.ModuleList(Branch(options) for _ in range(2))
        self.classifier = nn.Linear(self.embedding_size, n_classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, n_features, frames)` to `(batch, 5 * stack)` and `(batch, n_classes)`.

        Raises:
            UserError: pooling leaves no frame.
        """
        if features.shape[2] < self.min_frames:
            raise UserError(f"AASIST pools {self.min_frames} frames into one, but was given {features.shape[2]}")
        if self.projection is not None:
            features = self.projection(features.transpose(1, 2)).transpose(1, 2)  # (batch, projection, frames)
        image = functional.max_pool2d(features.unsqueeze(1), POOL)  # (batch, 1, n_features / 3, frames / 3)
        image = self.encoder(functional.selu(self.input_norm(image)))  # (batch, channels, bins, times)

        weights = self.attention(image)  # (batch, channels, bins, times)
        spectral = (image * weights.softmax(dim=3)).sum(dim=3).transpose(1, 2)  # (batch, bins, channels)
        temporal = (image * weights.softmax(dim=2)).sum(dim=2).transpose(1, 2)  # (batch, times, channels)
        spectral = self.spectral(spectral + self.position)  # (batch, bins / 2, graph)
        temporal = self.temporal(temporal)  # (batch, times / 2, graph)

        outputs = zip(*(branch(temporal, spectral) for branch in self.branches), strict=True)
        temporal, spectral, master = (torch.maximum(*pair) for pair in outputs)
        embedding = torch.cat(
            [
                temporal.abs().amax(dim=1),
                temporal.mean(dim=1),
                spectral.abs().amax(dim=1),
                spectral.mean(dim=1),
                master.squeeze(1),
            ],
            dim=1,
        )  # (batch, 5 * stack)
        return embedding, self.classifier(functional.dropout(embedding, self.dropout, self.training))


class ResidualBlock(nn.Module):
    """Batch-norm, SELU and a 2x3 convolution, twice, beside a shortcut.

    The first block of an encoder is given what has been normalised and activated already. The convolutions have no
    bias: a batch-norm follows each.
    """

    def __init__(self, n_in: int, n_out: int, first: bool = False):
        super().__init__()
        self.opening = nn.Identity() if first else nn.Sequential(nn.BatchNorm2d(n_in), nn.SELU(inplace=True))
        self.convolutions = nn.Sequential(
            nn.Conv2d(n_in, n_out, (2, 3), padding=(1, 1), bias=False),  # one bin more
            nn.BatchNorm2d(n_out),
            nn.SELU(inplace=True),
            nn.Conv2d(n_out, n_out, (2, 3), padding=(0, 1), bias=False),  # one bin less
        )
        self.shortcut = nn.Identity()
        if n_in != n_out:
            self.shortcut = nn.Conv2d(n_in, n_out, (1, 3), padding=(0, 1), bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """`(batch, n_in, bins, times)` to `(batch, n_out, bins, times)`."""
        return self.convolutions(self.opening(image)) + self.shortcut(image)


class Branch(nn.Module):
    """Two heterogeneous attentions with a pooling between them, and a learned master node to begin with."""

    def __init__(self, options: AasistOptions):
        super().__init__()
        self.master = nn.Parameter(torch.randn(1, 1, options.graph))
        self.first = HeterogeneousAttention(options.graph, options.stack, options.stack_temperature)
        self.second = HeterogeneousAttention(options.stack, options.stack, options.stack_temperature)
        self.pool_temporal = GraphPool(options.stack, options.ratio)
        self.pool_spectral = GraphPool(options.stack, options.ratio)

    def forward(self, temporal: Tensor, spectral: Tensor) -> list[Tensor]:
        """Graphs `(batch, nodes, graph)` to both pooled, `(batch, kept, stack)`, and the master `(batch, 1, stack)`."""
        temporal, spectral, master = self.first(temporal, spectral, self.master)
        before = self.pool_temporal(temporal), self.pool_spectral(spectral), master
        after = self.second(*before)
        return [functional.dropout(x + y, DROP_BRANCH, self.training) for x, y in zip(before, after, strict=True)]
