"""Back-ends: from features to an embedding and logits.

A back-end is built as `Module(n_features, n_classes, options)`, has the attributes `embedding_size` and `classifier`, a
module from the embedding to logits, and maps features `(batch, n_features, frames)` to an embedding
`(batch, embedding_size)` and logits `(batch, n_classes)`. To add one, write it in a file of its own and give it a line
in `BACKENDS`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from srctrace.backends.aasist import Aasist, AasistOptions
from srctrace.backends.cosine import CosineClassifier
from srctrace.backends.ecapa import EcapaOptions, EcapaTdnn
from srctrace.backends.resnet import ResNet18, ResNetOptions
from srctrace.backends.sizes import parse_sizes
from srctrace.errors import UserError


class Backend(NamedTuple):
    """What the registry knows of a back-end."""

    options: type  # frozen dataclass of sizes; the defaults are the paper's
    module: type[nn.Module]


BACKENDS: dict[str, Backend] = {
    "resnet18": Backend(ResNetOptions, ResNet18),
    "ecapa-tdnn": Backend(EcapaOptions, EcapaTdnn),
    "aasist": Backend(AasistOptions, Aasist),
}


def create_backend(
    name: str, n_features: int, n_classes: int, sizes: Mapping[str, Any], scale: float = 0.0
) -> nn.Module:
    """The back-end `name` with fresh weights; sizes that are left out are the paper's.

    Args:
        scale: of the logits of a `CosineClassifier`, which then takes the place of the linear one; 0: linear.

    Raises:
        UserError: no such back-end, or no such size, or a size of the wrong type or out of bounds.
    """
    if name not in BACKENDS:
        raise UserError(f"no back-end {name!r}; there are: {', '.join(BACKENDS)}")
    options = parse_sizes(name, BACKENDS[name].options, sizes)
    backend = BACKENDS[name].module(n_features, n_classes, options)
    if scale:
        backend.classifier = CosineClassifier(backend.embedding_size, n_classes, scale)
    return backend
