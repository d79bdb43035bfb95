import pytest
import torch
from torch import nn

from srctrace.backends.resnet import BasicBlock, ResNet18, ResNetOptions


def test_parameter_count():
    """ResNet18 has 11 689 512 parameters for three input channels and 1000 classes."""
    n_classes = 4
    stem = 7 * 7 * 64  # for each input channel; one here
    head = 512 + 1  # for each class
    count = sum(parameter.numel() for parameter in ResNet18(80, n_classes, ResNetOptions()).parameters())
    assert count == 11_689_512 - 2 * stem - (1000 - n_classes) * head


@pytest.mark.parametrize(("frames", "reduced"), [(199, 7), (399, 13), (1, 1)])
def test_image_is_reduced_32_times(frames, reduced):
    network = ResNet18(80, 4, ResNetOptions(width=4)).eval()
    image = network.stages(network.stem(torch.zeros(1, 1, 80, frames)))
    assert image.shape == (1, 32, 3, reduced)


def test_shortcut_is_projected_only_where_the_shape_changes():
    blocks = [block for block in ResNet18(80, 4, ResNetOptions(width=4)).stages if isinstance(block, BasicBlock)]
    projected = [not isinstance(block.shortcut, nn.Identity) for block in blocks]
    assert projected == [False, False, True, False, True, False, True, False]
