"""A model's back-end as ONNX, for programs without torch: from features to an embedding and logits."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from srctrace.audio import SAMPLE_RATE
from srctrace.checkpoint import Description
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.model import SourceTracer
from srctrace.tracing.features import lfcc_options

OF_FIXED_LENGTH = ("aasist",)  # its pools keep a share of the nodes: the exporter freezes how many that is
TOLERANCE = 1e-4  # largest difference from torch, as a share of an output's largest value
SSL_WINDOW = 400  # samples that a frame of a published SSL model sees: 25 ms
OUTPUTS = ("embedding", "logits")


def write_onnx(path: Path, model: SourceTracer, description: Description) -> dict[str, str]:
    """Write all of a model that comes after its features, standardisation and layer weights included.

    Input `features` `(batch, [layers,] n_features, frames)` float32; of a model with an SSL front-end of its own, the
    hidden states of that. Outputs `embedding` `(batch, size)` and `logits` `(batch, n_sources)`. Any batch will do;
    any number of frames too, but for AASIST. The file is compared with torch on random features, of the mean and
    deviation that the model was trained on, before it is kept.

    Args:
        model: in evaluation mode; its own SSL front-end is taken off.
        description: the model's; its sources and front-end are kept in the file.

    Returns:
        The file's metadata: `frames` (`any`, or their number), `max_abs_difference` from torch, and others.

    Raises:
        UserError: the packages for it are missing, or the file gives something else than torch.
    """
    try:
        import onnx  # noqa: PLC0415 - an optional extra
        import onnxruntime  # noqa: PLC0415
        import onnxscript  # noqa: F401, PLC0415 - torch needs it
    except ImportError as error:
        raise UserError(f"ONNX needs {error.name}: pip install 'srctrace[export]'") from None
    length = _frames(model, description)
    model.ssl = None
    any_length = description.backend not in OF_FIXED_LENGTH
    dynamic = {0: "batch"} | ({model.mean.ndim: "frames"} if any_length else {})
    with _quiet():
        program = torch.onnx.export(
            model,
            (_features(model, 2, length),),
            dynamo=True,
            dynamic_shapes=(dynamic,),
            input_names=["features"],
            output_names=OUTPUTS,
            verbose=False,
        )
    proto = program.model_proto
    for part in (proto.graph, *proto.graph.node, *proto.graph.value_info, *proto.functions):
        del part.metadata_props[:]  # where in the source, and on which disk, it comes from
    metadata = {
        "system": description.system,
        "sources": json.dumps(description.sources),
        "frontend": json.dumps(description.frontend),
        "encoder": json.dumps({key: description.ssl[key] for key in ("checkpoint", "revision", "layers")})
        if description.ssl
        else "",
        "frames": "any" if any_length else str(length),
        "checked_against": f"torch {version('torch')}, by onnxruntime {version('onnxruntime')}",
    }
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1  # the same differences every time
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    lengths = [length, length + length // 3] if any_length else [length]
    difference = max(_difference(session, model, count, frames, path) for count in (1, 3) for frames in lengths)
    metadata["max_abs_difference"] = f"{difference:.1e}"
    onnx.helper.set_model_props(proto, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))
    return metadata


def _frames(model: SourceTracer, description: Description) -> int:
    """Frames of the features of an input of the model's length."""
    made, samples = description.frontend, round(description.seconds * SAMPLE_RATE)
    if model.ssl is not None:
        return model.ssl.frames(samples)
    if made["frontend"] == "ssl":
        return 1 + (samples - SSL_WINDOW) // made["hop_length"]
    return lfcc_options(made).frames(samples)


def _features(model: SourceTracer, count: int, frames: int) -> Tensor:
    """Random features `(count, [layers,] n_features, frames)`, distributed as those that the model was trained on."""
    shape = (count, *model.mean.shape[:-1], frames)
    noise = torch.from_numpy(np.random.default_rng(count).standard_normal(shape, dtype=np.float32))
    return model.mean + model.deviation * noise


def _difference(session, model: nn.Module, count: int, frames: int, path: Path) -> float:
    """Largest difference of an output from torch's."""
    features = _features(model, count, frames)
    with torch.inference_mode():
        expected = [output.numpy() for output in model(features)]
    largest = 0.0
    for name, ours, other in zip(OUTPUTS, expected, session.run(OUTPUTS, {"features": features.numpy()}), strict=True):
        difference = float(np.abs(ours - other).max()) if ours.shape == other.shape else float("inf")
        if not difference <= TOLERANCE * float(np.abs(ours).max()):
            raise UserError(
                f"{path}: not written: its {name} differs by {difference:.2g} from torch's, for {count} inputs of "
                f"{frames} frames: use the model by torch, or export without --onnx"
            )
        largest = max(largest, difference)
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of packages that nobody needs here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
