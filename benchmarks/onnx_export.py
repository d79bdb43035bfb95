"""How far ONNX files are from torch: `python -m benchmarks.onnx_export`, from an activated environment.

Every back-end at the paper's sizes with random weights, on LFCCs of 4 s, and AASIST on all layers of a model of XLS-R
300M's size. Writes `benchmarks/results/onnx.md`.
"""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

from srctrace import provenance
from srctrace.checkpoint import Description, build
from srctrace.frontends.lfcc import LfccOptions
from srctrace.sharing.onnx import write_onnx

RESULTS = Path(__file__).parent / "results" / "onnx.md"
LFCC = {"frontend": "lfcc", **asdict(LfccOptions()), "seconds": 4.0}
SSL = {"frontend": "ssl", "layers": "weighted", "n_layers": 25, "sample_rate": 16000, "hop_length": 320, "seconds": 4.0}
CASES = (  # back-end, front-end, features, layers, scale of a classifier by cosines
    ("resnet18", LFCC, 80, 0, 0.0),
    ("ecapa-tdnn", LFCC, 80, 0, 0.0),
    ("ecapa-tdnn", LFCC, 80, 0, 16.0),
    ("aasist", LFCC, 80, 0, 0.0),
    ("aasist", SSL, 1024, 25, 0.0),
)


def main() -> None:
    machine, versions = provenance.machine(), provenance.versions()
    lines = [
        "# ONNX against torch",
        "",
        f"{machine['processor']}, {machine['cores']} cores, torch {versions['torch']}; by `python -m "
        "benchmarks.onnx_export`. Random weights at the paper's sizes; seconds of writing and checking.",
        "",
        "| back-end | features | frames | largest difference | seconds |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    for backend, frontend, n_features, n_layers, scale in CASES:
        torch.manual_seed(0)
        description = Description(
            system=backend,
            frontend=frontend,
            n_features=n_features,
            backend=backend,
            sizes={},
            sources=["a", "b", "c", "d"],
            training={},
            provenance={},
            n_layers=n_layers,
            scale=scale,
        )
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = write_onnx(Path(folder) / "backend.onnx", build(description).eval(), description)
        name = f"{backend}, classifier by cosines" if scale else backend
        features = f"{n_layers} layers of {n_features}" if n_layers else "LFCC"
        seconds = time.monotonic() - began
        lines.append(f"| {name} | {features} | {found['frames']} | {found['max_abs_difference']} | {seconds:.0f} |")
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
