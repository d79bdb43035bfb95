"""The extensions; everything else about the package is in pyproject.toml."""

from glob import glob

from pybind11.setup_helpers import Pybind11Extension
from setuptools import setup

# No -march=native: what is built here runs on any machine of the same architecture.
setup(
    ext_modules=[
        Pybind11Extension(
            "srctrace._C",
            sources=["csrc/bind.cc", "csrc/fft.cc", "csrc/lfcc.cc"],
            depends=sorted(glob("csrc/*.h")),
            cxx_std=17,
            extra_compile_args=["-O3", "-pthread"],
            extra_link_args=["-pthread"],
        )
    ]
)
