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


def test_pooling_weighs_frames():
    """The statistics of each channel are those of its frames, repeated as often as the attention says."""
    pooling = AttentivePooling(5, 4)
    frames = torch.randn(1, 5, 3)
    constant = pooling(frames[:, :, :1].expand(-1, -1, 3))
    torch.testing.assert_close(constant[:, :5], frames[:, :, 0])
    assert (constant[:, 5:] < 0.01).all()
    pooled = pooling(frames)
    assert (pooled[:, :5] > frames.amin(dim=2)).all()
    assert (pooled[:, :5] < frames.amax(dim=2)).all()


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


def test_dilations_widen_what_a_frame_sees():
    """Outermost layers see 2 frames a side; the seven chained convolutions of a block see its dilation each."""
    network = EcapaTdnn(80, 4, EcapaOptions(channels=16, mfa_channels=16, bottleneck=4))
    dilations = [block.layers[1].convolutions[0][0].dilation for block in network.blocks]
    assert dilations == [(2,), (3,), (4,)]
