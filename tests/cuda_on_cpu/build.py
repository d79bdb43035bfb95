"""Builds `srctrace._cuda` from its own sources, but to run on the CPU: see cuda_runtime.h."""

import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pybind11

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
SOURCES = [
    *(CSRC / f"{name}.cu" for name in ("device_lfcc", "device_tables", "cuda_error")),
    *(CSRC / f"{name}.cc" for name in ("bind_cuda", "fft", "lfcc_options", "lfcc_plan", "mix_plan")),
    HERE / "cuda_on_cpu.cc",
]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g"]


def build(folder: Path, sanitize: bool = False) -> Path:
    """The module, compiled in `folder`. With `sanitize` it needs a Python that has loaded the sanitizers first."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or "c++"
    flags = ["-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-Wno-unknown-pragmas", f"-I{HERE}", f"-I{CSRC}"]
    flags += [f"-I{pybind11.get_include()}", f"-I{sysconfig.get_path('include')}", *(SANITIZE if sanitize else [])]

    def compile_one(source: Path) -> Path:
        out = folder / f"{source.name}.o"
        subprocess.run([compiler, *flags, "-x", "c++", "-c", source, "-o", out], check=True)
        return out

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, SOURCES))
    module = folder / f"_cuda{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([compiler, *(SANITIZE if sanitize else []), "-shared", *objects, "-o", module, "-ldl"], check=True)
    return module


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), sanitize="--sanitize" in sys.argv[2:]))
