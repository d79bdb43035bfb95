"""ResNet18 (He et al., "Deep residual learning for image recognition", CVPR 2016) on one-channel feature images."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from srctrace.backends.sizes import size


@dataclass(frozen=True)
class ResNetOptions:
    """Sizes of ResNet18."""

    width: int = size(64, "channels of the stem and the first stage; the four stages have 1, 2, 4 and 8 times as many")


class ResNet18(nn.Module):
    """Features as an image, through four stages of two basic blocks; the embedding is the global average."""

    def __init__(self, n_features: int, n_classes: int, options: ResNetOptions):
        """`n_features` is part of the interface only: the network takes an image of any height."""
        super().__init__()
        width = options.width
        self.embedding_size = 8 * width
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.stages = nn.Sequential(
            BasicBlock(width, width, 1),
            BasicBlock(width, width, 1),
            BasicBlock(width, 2 * width, 2),
            BasicBlock(2 * width, 2 * width, 1),
            BasicBlock(2 * width, 4 * width, 2),
            BasicBlock(4 * width, 4 * width, 1),
            BasicBlock(4 * width, 8 * width, 2),
            BasicBlock(8 * width, 8 * width, 1),
        )
        self.classifier = nn.Linear(self.embedding_size, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, n_features, frames)`, any number of frames, to `(batch, 8 * width)` and `(batch, n_classes)`."""
        image = self.stem(features.unsqueeze(1))  # (batch, width, n_features / 4, frames / 4)
        image = self.stages(image)  # (batch, 8 * width, n_features / 32, frames / 32)
        embedding = image.mean(dim=(2, 3))
        return embedding, self.classifier(embedding)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is projected where the shape changes."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, image: Tensor) -> Tensor:
        """`(batch, n_in, height, width)` to `(batch, n_out, height / stride, width / stride)`."""
        return functional.relu(self.residual(image) + self.shortcut(image))
