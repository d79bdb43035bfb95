import pytest
import torch

from srctrace.backends.ecapa import AttentivePooling, EcapaOptions, EcapaTdnn, Res2Conv


@pytest.mark.parametrize(("channels", "millions"), [(512, 6.2), (1024, 14.7)])
def test_parameter_count_is_the_papers(channels, millions):
    """Table 1 of the paper, without the classifier, and by hand."""
    network = EcapaTdnn(80, 4, EcapaOptions(channels=channels))
    count = sum(parameter.numel() for parameter in network.parameters())
    count -= sum(parameter.numel() for parameter in network.classifier.parameters())
    assert round(count / 1e6, 1) == millions

    def dense(n_in, n_out, bias=True):
        return n_in * n_out + bias * n_out

    def norm(n):
        return 2 * n

    group = channels // 8
    stem = dense(5 * 80, channels) + norm(channels)
    pointwise = dense(channels, channels) + norm(channels)
    res2 = 7 * (dense(3 * group, group) + norm(group))
    squeeze = dense(channels, 128) + dense(128, channels)
    aggregation = dense(3 * channels, 1536)
    # The two biases that something cancels are left out: by the softmax, and by the batch-norm.
    pooling = dense(3 * 1536, 128) + dense(128, 1536, bias=False) + norm(2 * 1536)
    embedding = dense(2 * 1536, 192, bias=False) + norm(192)
    assert count == stem + 3 * (2 * pointwise + res2 + squeeze) + aggregation + pooling + embedding


def test_pooling_without_preference_is_the_mean_and_deviation():
    pooling = AttentivePooling(6, 4)
    torch.nn.init.zeros_(pooling.score.weight)
    frames = torch.randn(3, 6, 50)
    expected = torch.cat([frames.mean(dim=2), frames.std(dim=2, correction=0)], dim=1)
    torch.testing.assert_close(pooling(frames), expected)


def test_pooling_weighs_frames_by_their_statistics_and_the_utterances():
    """By hand, with one linear layer over each frame, the mean and the deviation, as the paper writes it."""
    pooling = AttentivePooling(5, 4)
    frames = torch.randn(1, 5, 7)
    mean, deviation = frames.mean(dim=2, keepdim=True), frames.std(dim=2, correction=0, keepdim=True)
    seen = torch.cat([frames, mean.expand_as(frames), deviation.expand_as(frames)], dim=1)  # (1, 15, 7)
    weight = torch.cat([pooling.frame.weight[:, :, 0], pooling.context.weight], dim=1)  # (4, 15)
    hidden = torch.tanh(weight @ seen + pooling.frame.bias[:, None])
    weights = (pooling.score.weight[:, :, 0] @ hidden).softmax(dim=2)
    expected_mean = (weights * frames).sum(dim=2)
    expected_deviation = ((weights * frames.square()).sum(dim=2) - expected_mean.square()).sqrt()
    torch.testing.assert_close(pooling(frames), torch.cat([expected_mean, expected_deviation], dim=1))


def test_res2_groups_pass_on_what_they_see():
    """The first group is left as it is; a change in one group reaches it and those after it."""
    layer = Res2Conv(16, scale=4, dilation=2).eval()
    frames = torch.randn(1, 16, 20)
    changed = frames.clone()
    changed[:, 4:8] += 1
    before, after = layer(frames), layer(changed)
    torch.testing.assert_close(before[:, :4], frames[:, :4])
    differs = [not torch.equal(x, y) for x, y in zip(before.chunk(4, 1), after.chunk(4, 1), strict=True)]
    assert differs == [False, True, True, True]


def test_dilations_grow_from_block_to_block():
    network = EcapaTdnn(80, 4, EcapaOptions(channels=16, mfa_channels=16, bottleneck=4))
    dilations = [block.layers[1].convolutions[0][0].dilation for block in network.blocks]
    assert dilations == [(2,), (3,), (4,)]
