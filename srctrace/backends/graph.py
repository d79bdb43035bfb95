"""Graph layers of AASIST (Jung et al., ICASSP 2022). A graph is `(batch, nodes, size)`, each node tied to each."""

import torch
from torch import Tensor, nn
from torch.nn import functional

DROP_INPUT = 0.2  # of the nodes given to an attention, as published
DROP_POOL = 0.3  # of what a pooling scores, as published
SMALL_GRAPH = 32  # nodes; halving a graph of no more saves nothing


class GraphAttention(nn.Module):
    """Graph attention within one graph."""

    def __init__(self, n_in: int, n_out: int, temperature: float):
        super().__init__()
        self.temperature = temperature
        self.pair = nn.Linear(n_in, n_out)
        self.score = _score_vector(n_out)
        self.update = NodeUpdate(n_in, n_out)

    def forward(self, nodes: Tensor) -> Tensor:
        """`(batch, nodes, n_in)` to `(batch, nodes, n_out)`."""
        nodes = functional.dropout(nodes, DROP_INPUT, self.training)
        scores = within_scores(nodes, self.pair, self.score)  # (batch, nodes, nodes)
        return self.update(nodes, torch.softmax(scores / self.temperature, dim=2))


class HeterogeneousAttention(nn.Module):
    """Graph attention over two graphs of different kinds, and a master node that gathers from both."""

    def __init__(self, n_in: int, n_out: int, temperature: float):
        super().__init__()
        self.temperature = temperature
        self.project_first = nn.Linear(n_in, n_in)
        self.project_second = nn.Linear(n_in, n_in)
        self.pair = nn.Linear(n_in, n_out)
        self.score_first = _score_vector(n_out)
        self.score_second = _score_vector(n_out)
        self.score_across = _score_vector(n_out)
        self.update = NodeUpdate(n_in, n_out)
        self.master_pair = nn.Linear(n_in, n_out)
        self.master_score = _score_vector(n_out)
        self.master_gathered = nn.Linear(n_in, n_out)
        self.master_own = nn.Linear(n_in, n_out)

    def forward(self, first: Tensor, second: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Graphs `(batch, n1, n_in)`, `(batch, n2, n_in)` and a master `(batch or 1, 1, n_in)`: the same of `n_out`."""
        sizes = [first.shape[1], second.shape[1]]
        nodes = torch.cat([self.project_first(first), self.project_second(second)], dim=1)  # (batch, n1 + n2, n_in)
        nodes = functional.dropout(nodes, DROP_INPUT, self.training)
        first, second = nodes.split(sizes, dim=1)

        scores = join_scores(
            within_scores(first, self.pair, self.score_first),
            across_scores(first, second, self.pair, self.score_across),
            within_scores(second, self.pair, self.score_second),
        )  # (batch, n1 + n2, n1 + n2)
        updated = self.update(nodes, torch.softmax(scores / self.temperature, dim=2))

        scores = across_scores(master, nodes, self.master_pair, self.master_score)  # (batch, 1, n1 + n2)
        gathered = torch.softmax(scores / self.temperature, dim=2) @ nodes  # (batch, 1, n_in)
        master = self.master_gathered(gathered) + self.master_own(master)
        return *updated.split(sizes, dim=1), master


class NodeUpdate(nn.Module):
    """What a node gathered by attention and what it had, each projected, added, normalised."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.gathered = nn.Linear(n_in, n_out, bias=False)  # the batch-norm has one
        self.own = nn.Linear(n_in, n_out, bias=False)
        self.norm = nn.BatchNorm1d(n_out)

    def forward(self, nodes: Tensor, attention: Tensor) -> Tensor:
        """`(batch, nodes, n_in)` and `(batch, nodes, nodes)` to `(batch, nodes, n_out)`."""
        nodes = self.gathered(attention @ nodes) + self.own(nodes)
        return functional.selu(self.norm(nodes.flatten(0, 1))).view_as(nodes)


class GraphPool(nn.Module):
    """Keeps the nodes with the highest scores, in the order of their scores and scaled by them."""

    def __init__(self, size: int, ratio: float):
        super().__init__()
        self.ratio = ratio
        self.score = nn.Linear(size, 1)

    def forward(self, nodes: Tensor) -> Tensor:
        """`(batch, nodes, size)` to `(batch, max(1, int(nodes * ratio)), size)`."""
        scores = torch.sigmoid(self.score(functional.dropout(nodes, DROP_POOL, self.training)))  # (batch, nodes, 1)
        kept, index = scores.topk(max(1, int(nodes.shape[1] * self.ratio)), dim=1)  # (batch, kept, 1)
        return kept * nodes.gather(1, index.expand(-1, -1, nodes.shape[2]))


def across_scores(first: Tensor, second: Tensor, pair: nn.Linear, score: Tensor) -> Tensor:
    """Score of each pair, from its product: `(batch, n1, size)` and `(batch, n2, size)` to `(batch, n1, n2)`."""
    products = first.unsqueeze(2) * second.unsqueeze(1)  # (batch, n1, n2, n_in)
    return torch.tanh(pair(products)) @ score


def within_scores(nodes: Tensor, pair: nn.Linear, score: Tensor) -> Tensor:
    """Score of each pair of one graph: `(batch, nodes, size)` to a symmetric `(batch, nodes, nodes)`.

    This is most of the time that AASIST takes. As the scores are symmetric, the graph is halved again and again, and
    the pairs of a left and a right node are scored once: three times faster than all pairs at 133 nodes.
    """
    if nodes.shape[1] <= SMALL_GRAPH:
        return across_scores(nodes, nodes, pair, score)
    left, right = nodes.tensor_split(2, dim=1)
    return join_scores(
        within_scores(left, pair, score), across_scores(left, right, pair, score), within_scores(right, pair, score)
    )


def join_scores(first: Tensor, across: Tensor, second: Tensor) -> Tensor:
    """The symmetric matrix `[[first, across], [acrossᵀ, second]]` of each utterance."""
    upper = torch.cat([first, across], dim=2)
    lower = torch.cat([across.transpose(1, 2), second], dim=2)
    return torch.cat([upper, lower], dim=1)


def _score_vector(size: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(size, 1)).squeeze(1))
