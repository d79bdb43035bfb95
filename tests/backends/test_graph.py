"""The graph layers against their definition, one pair of nodes at a time."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from srctrace.backends.graph import GraphAttention, GraphPool, HeterogeneousAttention, within_scores


def pair_score(x, y, pair, score):
    return torch.tanh(pair(x * y)) @ score


@pytest.mark.parametrize("n_nodes", [1, 2, 32, 33, 41])
def test_scores_within_a_graph_are_those_of_all_pairs(n_nodes):
    nodes, pair, score = torch.randn(2, n_nodes, 5), nn.Linear(5, 3), torch.randn(3)
    scores = within_scores(nodes, pair, score)
    for i in range(n_nodes):
        for j in range(n_nodes):
            expected = pair_score(nodes[:, i], nodes[:, j], pair, score)
            torch.testing.assert_close(scores[:, i, j], expected)


def test_graph_attention_by_hand():
    layer = GraphAttention(4, 3, temperature=2.0).eval()
    nodes = torch.randn(1, 6, 4)
    for i, actual in enumerate(layer(nodes)[0]):
        scores = torch.stack([pair_score(nodes[0, i], other, layer.pair, layer.score) for other in nodes[0]])
        gathered = (scores / 2.0).softmax(dim=0) @ nodes[0]
        expected = layer.update.gathered(gathered) + layer.update.own(nodes[0, i])
        torch.testing.assert_close(actual, functional.selu(layer.update.norm(expected[None])[0]))


def test_heterogeneous_attention_by_hand():
    layer = HeterogeneousAttention(4, 3, temperature=0.5).eval()
    first, second, master = torch.randn(1, 3, 4), torch.randn(1, 2, 4), torch.randn(1, 1, 4)
    new_first, new_second, new_master = layer(first, second, master)
    assert new_first.shape == (1, 3, 3)
    assert new_second.shape == (1, 2, 3)
    assert new_master.shape == (1, 1, 3)

    nodes = torch.cat([layer.project_first(first[0]), layer.project_second(second[0])])
    kinds = [0, 0, 0, 1, 1]
    vectors = {(0, 0): layer.score_first, (1, 1): layer.score_second}
    for i, actual in enumerate(torch.cat([new_first, new_second], dim=1)[0]):
        scores = torch.stack(
            [
                pair_score(nodes[i], nodes[j], layer.pair, vectors.get((kinds[i], kinds[j]), layer.score_across))
                for j in range(5)
            ]
        )
        gathered = (scores / 0.5).softmax(dim=0) @ nodes
        expected = layer.update.gathered(gathered) + layer.update.own(nodes[i])
        torch.testing.assert_close(actual, functional.selu(layer.update.norm(expected[None])[0]))

    scores = torch.stack([pair_score(master[0, 0], node, layer.master_pair, layer.master_score) for node in nodes])
    gathered = (scores / 0.5).softmax(dim=0) @ nodes
    torch.testing.assert_close(new_master[0, 0], layer.master_gathered(gathered) + layer.master_own(master[0, 0]))


@pytest.mark.parametrize(("n_nodes", "ratio", "kept"), [(1, 0.5, 1), (5, 0.5, 2), (6, 0.5, 3), (4, 0, 1), (4, 1, 4)])
def test_pooling_keeps_the_best_nodes_scaled_by_their_scores(n_nodes, ratio, kept):
    pool = GraphPool(3, ratio).eval()
    nodes = torch.randn(2, n_nodes, 3)
    for graph, pooled in zip(nodes, pool(nodes), strict=True):
        scores = torch.sigmoid(pool.score(graph))[:, 0]
        best = scores.argsort(descending=True)[:kept]
        torch.testing.assert_close(pooled, scores[best, None] * graph[best])
