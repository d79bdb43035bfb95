"""The extensions; everything else about the package is in pyproject.toml."""

import platform
from glob import glob

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

# What is built here runs on any machine of the same architecture: each of these is used where the processor has it.
FLAGS_OF = {
    "csrc/kernel_avx2.cc": ["-mavx2", "-mfma"],
    "csrc/kernel_avx512.cc": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
}
SOURCES = {path for path in glob("csrc/*.cc") if path not in FLAGS_OF}
if platform.machine() in ("x86_64", "AMD64"):
    SOURCES |= set(FLAGS_OF)


class BuildExtensions(build_ext):
    """Compiles each file for its own instruction set."""

    def build_extension(self, ext):
        compile_one = self.compiler._compile

        def compile_with_flags(obj, src, ext, cc_args, extra_postargs, pp_opts):
            compile_one(obj, src, ext, cc_args, [*extra_postargs, *FLAGS_OF.get(src, [])], pp_opts)

        self.compiler._compile = compile_with_flags
        super().build_extension(ext)


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
        )
    ],
)
