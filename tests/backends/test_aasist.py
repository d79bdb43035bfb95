import pytest
import torch
from torch import nn

from srctrace.backends.aasist import Aasist, AasistOptions, ResidualBlock
from srctrace.errors import UserError

SMALL = {"channels": (4, 4, 8, 8, 8, 8), "attention": 8, "graph": 8, "stack": 8}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_count_against_the_published_code():
    """The published code has 313 676 parameters on 80 coefficients with four classes."""
    # Here, what a batch-norm or a softmax cancels is left out.
    position = (80 // 3) * 64  # a parameter here, a random draw there
    block_biases = 2 * sum((32, 32, 64, 64, 64, 64)) + 32 + 64  # two convolutions each, two shortcuts
    attention_biases = 2 * 128 + 64  # what scales and shifts before a linear layer and a softmax
    node_biases = 2 * (2 * 64) + 2 * (4 * 32)  # gathered and own; two graph, four heterogeneous attentions
    expected = 313_676 + position - block_biases - attention_biases - node_biases
    assert count(Aasist(80, 4, AasistOptions())) == expected == 313_772


@pytest.mark.parametrize(("projection", "n_features", "bins"), [(128, 80, 26), (128, 1024, 42), (None, 150, 50)])
def test_projection_is_for_many_features(projection, n_features, bins):
    network = Aasist(n_features, 4, AasistOptions(projection=projection, **SMALL))
    assert (network.projection is not None) == (projection is not None and n_features > projection)
    assert network.position.shape == (bins, 8)
    assert network.eval()(torch.randn(1, n_features, 40))[1].shape == (1, 4)


def test_every_block_uses_the_batch_norm_that_opens_it():
    """The published code computes it and convolves the raw input."""
    torch.manual_seed(0)
    network = Aasist(80, 4, AasistOptions(**SMALL)).eval()
    blocks = [block for block in network.encoder if isinstance(block, ResidualBlock)]
    assert isinstance(blocks[0].opening, nn.Identity)  # given what is normalised already
    features = torch.randn(2, 80, 60)
    for norm in [network.input_norm] + [block.opening[0] for block in blocks[1:]]:
        before = network(features)[0]
        with torch.no_grad():
            norm.bias += 0.5
        assert not torch.allclose(network(features)[0], before)


def test_block_is_normalise_activate_convolve_twice_beside_a_shortcut():
    block = ResidualBlock(3, 5).eval()
    image = torch.randn(2, 3, 7, 9)
    norm, selu = block.opening
    expected = selu(norm(image.clone()))
    for layer in block.convolutions:
        expected = layer(expected)
    torch.testing.assert_close(block(image), expected + block.shortcut(image))
    assert block(image).shape == (2, 5, 7, 9)


def test_position_is_learned_not_drawn():
    network = Aasist(80, 4, AasistOptions(**SMALL)).eval()
    assert "position" in dict(network.named_parameters())
    features = torch.randn(2, 80, 60)
    state = torch.get_rng_state()
    before = network(features)[1]
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn in evaluation
    with torch.no_grad():
        network.position += 1
    assert not torch.allclose(network(features)[1], before)


@pytest.mark.parametrize(("time_pools", "frames", "times"), [(0, 399, 133), (1, 399, 44), (2, 399, 14), (6, 2187, 1)])
def test_blocks_pool_along_time(time_pools, frames, times):
    network = Aasist(9, 4, AasistOptions(time_pools=time_pools, **SMALL)).eval()
    image = network.encoder(torch.randn(1, 1, 3, frames // 3))
    assert image.shape == (1, 8, 3, times)
    assert network(torch.randn(1, 9, frames))[1].shape == (1, 4)


def test_too_few_frames_or_features_are_refused():
    network = Aasist(9, 4, AasistOptions(time_pools=2, **SMALL)).eval()
    network(torch.randn(1, 9, 27))
    with pytest.raises(UserError, match="pools 27 frames into one, but was given 26"):
        network(torch.randn(1, 9, 26))
    with pytest.raises(UserError, match="at least 3 features, not 2"):
        Aasist(2, 4, AasistOptions(**SMALL))


def test_the_number_of_blocks_is_a_size():
    network = Aasist(9, 4, AasistOptions(**{**SMALL, "channels": (4, 8)})).eval()
    assert sum(isinstance(block, ResidualBlock) for block in network.encoder) == 2
    assert network(torch.randn(1, 9, 30))[0].shape == (1, 40)
