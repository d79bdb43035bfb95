"""ECAPA-TDNN (Desplanques, Thienpondt, Demuynck, "ECAPA-TDNN: emphasized channel attention, propagation and aggregation
in TDNN based speaker verification", Interspeech 2020), with a linear classifier in place of the AAM-softmax."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srctrace.backends.sizes import size
from srctrace.errors import UserError

MIN_VARIANCE = 1e-6  # the gradient of a square root is infinite at zero


@dataclass(frozen=True)
class EcapaOptions:
    """Sizes of ECAPA-TDNN. The paper's, but for `channels`, where it has 512 and 1024 and the benchmark has 192."""

    channels: int = size(192, "channels of the frame-level layers (C); a multiple of `scale`")
    mfa_channels: int = size(1536, "channels of the multi-layer feature aggregation, which are pooled over time")
    bottleneck: int = size(128, "inner size of squeeze-and-excitation and of the attention of the pooling")
    embedding: int = size(192, "size of the embedding")
    scale: int = size(8, "channel groups of a Res2 convolution", low=2)

    def __post_init__(self):
        if self.channels % self.scale:
            raise UserError(f"ECAPA-TDNN: channels ({self.channels}) must be a multiple of scale ({self.scale})")


class EcapaTdnn(nn.Module):
    """A TDNN of three SE-Res2 blocks, aggregated, pooled with attention into an embedding."""

    def __init__(self, n_features: int, n_classes: int, options: EcapaOptions):
        super().__init__()
        channels = options.channels
        self.embedding_size = options.embedding
        self.stem = _tdnn(n_features, channels, kernel_size=5)
        self.blocks = nn.ModuleList(SeRes2Block(options, dilation) for dilation in (2, 3, 4))
        self.aggregation = nn.Sequential(nn.Conv1d(3 * channels, options.mfa_channels, 1), nn.ReLU(inplace=True))
        self.pooling = AttentivePooling(options.mfa_channels, options.bottleneck)
        self.embedding = nn.Sequential(
            nn.BatchNorm1d(2 * options.mfa_channels),
            nn.Linear(2 * options.mfa_channels, options.embedding, bias=False),  # the batch-norm has one
            nn.BatchNorm1d(options.embedding),
        )
        self.classifier = nn.Linear(options.embedding, n_classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, n_features, frames)`, any number of frames, to `(batch, embedding)` and `(batch, n_classes)`."""
        total = self.stem(features)  # (batch, channels, frames)
        outputs = []
        for block in self.blocks:  # each sees the sum of all that came before it
            outputs.append(block(total))
            total = total + outputs[-1]
        frames = self.aggregation(torch.cat(outputs, dim=1))  # (batch, mfa_channels, frames)
        embedding = self.embedding(self.pooling(frames))
        return embedding, self.classifier(embedding)


class SeRes2Block(nn.Module):
    """A Res2 convolution between two pointwise ones, squeeze-and-excitation, and a shortcut around them."""

    def __init__(self, options: EcapaOptions, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            _tdnn(options.channels, options.channels),
            Res2Conv(options.channels, options.scale, dilation),
            _tdnn(options.channels, options.channels),
            SqueezeExcitation(options.channels, options.bottleneck),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, frames)` to the same."""
        return x + self.layers(x)


class Res2Conv(nn.Module):
    """Channels in groups: the first passes, each other is convolved together with the result of the one before."""

    def __init__(self, channels: int, scale: int, dilation: int):
        super().__init__()
        group = channels // scale
        self.convolutions = nn.ModuleList(_tdnn(group, group, 3, dilation) for _ in range(scale - 1))

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, frames)` to the same."""
        first, second, *rest = x.chunk(len(self.convolutions) + 1, dim=1)
        outputs = [first, self.convolutions[0](second)]
        for group, convolution in zip(rest, self.convolutions[1:], strict=True):
            outputs.append(convolution(group + outputs[-1]))
        return torch.cat(outputs, dim=1)


class SqueezeExcitation(nn.Module):
    """Channels scaled by gates computed from their averages over time (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int, bottleneck: int):
        super().__init__()
        self.gates = nn.Sequential(
            nn.Linear(channels, bottleneck), nn.ReLU(inplace=True), nn.Linear(bottleneck, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, frames)` to the same."""
        return x * self.gates(x.mean(dim=2)).unsqueeze(2)


class AttentivePooling(nn.Module):
    """Mean and deviation over time, weighted per channel by an attention that sees the whole utterance's too."""

    def __init__(self, channels: int, bottleneck: int):
        super().__init__()
        # One linear layer over (frame, mean, deviation), in two parts: the second is the same for all frames.
        self.frame = nn.Conv1d(channels, bottleneck, 1)
        self.context = nn.Linear(2 * channels, bottleneck, bias=False)
        self.score = nn.Conv1d(bottleneck, channels, 1, bias=False)  # the softmax would cancel a bias

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, frames)` to `(batch, 2 * channels)`."""
        variance, mean = torch.var_mean(x, dim=2, correction=0)  # (batch, channels)
        context = self.context(_mean_and_deviation(mean, variance))  # (batch, bottleneck)
        hidden = torch.tanh(self.frame(x) + context.unsqueeze(2))  # (batch, bottleneck, frames)
        weights = torch.softmax(self.score(hidden), dim=2)  # (batch, channels, frames)
        mean = (weights * x).sum(dim=2)
        variance = (weights * (x - mean.unsqueeze(2)).square()).sum(dim=2)
        return _mean_and_deviation(mean, variance)


def _mean_and_deviation(mean: Tensor, variance: Tensor) -> Tensor:
    """`(batch, channels)` each to `(batch, 2 * channels)`."""
    return torch.cat([mean, variance.clamp(min=MIN_VARIANCE).sqrt()], dim=1)


def _tdnn(n_in: int, n_out: int, kernel_size: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution over time that keeps the number of frames, ReLU, batch-norm: in the paper's order."""
    convolution = nn.Conv1d(n_in, n_out, kernel_size, dilation=dilation, padding="same")
    return nn.Sequential(convolution, nn.ReLU(inplace=True), nn.BatchNorm1d(n_out))
