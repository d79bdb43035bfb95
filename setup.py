"""The extensions; everything else about the package is in pyproject.toml."""

import os
import platform
import shutil
import subprocess
import sys
from glob import glob
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

# What is built here runs on any machine of the same architecture: each of these is used where the processor has it.
FLAGS_OF = {
    "csrc/kernel_avx2.cc": ["-mavx2", "-mfma"],
    "csrc/kernel_avx512.cc": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
}
CUDA_SOURCES = {"csrc/bind_cuda.cc", *glob("csrc/*.cu")}
SHARED_SOURCES = {f"csrc/{name}.cc" for name in ("fft", "lfcc_options", "lfcc_plan", "mix_plan")}
SOURCES = {path for path in glob("csrc/*.cc") if path not in FLAGS_OF and path not in CUDA_SOURCES}
if platform.machine() in ("x86_64", "AMD64"):
    SOURCES |= set(FLAGS_OF)
# Machine code for A100 and H100 and their kin, and PTX, which the driver compiles for whatever comes later.
NVCC_FLAGS = [
    "--std=c++17",
    "-O3",
    "--ftz=true",  # numbers that small are far below the floor
    "--generate-code=arch=compute_80,code=sm_80",
    "--generate-code=arch=compute_90,code=[sm_90,compute_90]",
    "--threads=2",
    "--diag-suppress=1675",  # pragmas that are for GCC
    "--compiler-options=-fPIC,-fvisibility=hidden",
]


def cuda_home() -> Path | None:
    """The CUDA toolkit to build with, by CUDA_HOME or the path of nvcc; none if there is none, or it is not wanted."""
    wanted = os.environ.get("SRCTRACE_CUDA", "auto")
    if wanted not in ("auto", "0", "1"):
        sys.exit(f"SRCTRACE_CUDA is {wanted!r}: it must be auto, 0 or 1")
    if wanted == "0":
        return None
    named = os.environ.get("CUDA_HOME")
    nvcc = Path(named, "bin", "nvcc") if named else shutil.which("nvcc")
    home = _toolkit_of(Path(nvcc)) if nvcc and Path(nvcc).is_file() else None
    if home is None and wanted == "1":
        sys.exit("SRCTRACE_CUDA is 1, but there is no CUDA toolkit: set CUDA_HOME, or put nvcc on the PATH")
    return home


def _toolkit_of(nvcc: Path) -> Path | None:
    """The folder of a toolkit with all that is needed; nvcc itself says which, as it may be called by a script."""
    command = [nvcc, "--dryrun", "-x", "cu", os.devnull]
    listing = subprocess.run(command, check=False, capture_output=True, text=True).stderr
    tops = [line.split("TOP=")[1].strip() for line in listing.splitlines() if "TOP=" in line]
    home = Path(tops[0]).resolve() if tops else nvcc.parents[1]
    return home if _static_runtime(home) else None


def _static_runtime(home: Path) -> Path | None:
    """The CUDA runtime to link with, so that the module can be imported where no part of CUDA is installed."""
    return next((path for folder in ("lib64", "lib") if (path := home / folder / "libcudart_static.a").is_file()), None)


def cuda_extension(home: Path) -> Pybind11Extension:
    return Pybind11Extension(
        "srctrace._cuda",
        sources=sorted(CUDA_SOURCES | SHARED_SOURCES),
        depends=sorted(glob("csrc/*.h") + glob("csrc/*.cuh")),
        cxx_std=17,
        extra_compile_args=["-O3"],
        extra_objects=[str(_static_runtime(home))],
        libraries=["dl", "rt", "pthread"],
    )


class BuildExtensions(build_ext):
    """Compiles each file for its own instruction set, those of CUDA by nvcc."""

    def build_extension(self, ext):
        compile_one = self.compiler._compile

        def compile_with_flags(obj, src, ext, cc_args, extra_postargs, pp_opts):
            if src.endswith(".cu"):
                self.compiler.spawn([str(CUDA_HOME / "bin" / "nvcc"), *NVCC_FLAGS, "-c", src, "-o", obj])
            else:
                compile_one(obj, src, ext, cc_args, [*extra_postargs, *FLAGS_OF.get(src, [])], pp_opts)

        self.compiler._compile = compile_with_flags
        if ".cu" not in self.compiler.src_extensions:
            self.compiler.src_extensions = [*self.compiler.src_extensions, ".cu"]
        super().build_extension(ext)


CUDA_HOME = cuda_home()
ParallelCompile(default=0).install()
setup(
    cmdclass={"build_ext": BuildExtensions},
    ext_modules=[
        Pybind11Extension(
            "srctrace._C",
            sources=sorted(SOURCES),
            depends=sorted(glob("csrc/*.h") + glob("csrc/*.inc")),
            cxx_std=17,
            # The kernels ask for no exact order of exceptions, nor for errno. Without -fno-ivopts, GCC keeps more
            # addresses than there are registers: 5 % of the time.
            extra_compile_args=[
                "-O3",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-fno-ivopts",
                "-Wno-psabi",
                "-pthread",
            ],
            extra_link_args=["-pthread"],
        ),
        *([cuda_extension(CUDA_HOME)] if CUDA_HOME else []),
    ],
)
