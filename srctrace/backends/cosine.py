"""A classifier by the angle between an embedding and a direction of each class, and its loss with a margin."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

NEARLY_ONE = 1 - 1e-6  # an arc cosine has no derivative at 1


class CosineClassifier(nn.Module):
    """Logits are `scale` times the cosine of the angle to each class: how long an embedding is says nothing."""

    def __init__(self, embedding_size: int, n_classes: int, scale: float):
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(n_classes, embedding_size))
        nn.init.xavier_normal_(self.weight)

    def forward(self, embedding: Tensor) -> Tensor:
        """`(batch, embedding_size)` to `(batch, n_classes)`."""
        return self.scale * functional.linear(functional.normalize(embedding), functional.normalize(self.weight))


def aam_softmax(logits: Tensor, targets: Tensor, margin: float, scale: float) -> Tensor:
    """Additive angular margin loss (Deng et al., "ArcFace", CVPR 2019), the mean over a batch.

    The angle to the target class counts as `margin` larger than it is, up to half a turn, so that classes have to keep
    apart. Where a trial is of several classes, as by mixup, each has its share of the loss.

    Args:
        logits: `(batch, n_classes)`, of a `CosineClassifier`.
        targets: `(batch,)` classes, or `(batch, n_classes)` shares of them.
        margin: in radians.
        scale: the classifier's.
    """
    n_classes = logits.shape[1]
    shares = functional.one_hot(targets, n_classes).to(logits.dtype) if targets.ndim == 1 else targets
    angles = torch.acos((logits / scale).clamp(-NEARLY_ONE, NEARLY_ONE))
    harder = scale * torch.cos((angles + margin).clamp(max=math.pi))
    own = torch.eye(n_classes, dtype=torch.bool, device=logits.device)
    by_target = torch.where(own, harder.unsqueeze(1), logits.unsqueeze(1))  # (batch, target, n_classes)
    likelihood = by_target.log_softmax(dim=2).diagonal(dim1=1, dim2=2)  # (batch, target)
    return -(shares * likelihood).sum(dim=1).mean()
