"""The built-in corpus: speech of a free synthesiser in several voices of its own, and a noise bank to go with it.

It lets the whole benchmark run where no corpus can be fetched. Its sources are settings of one program, espeak-ng
(GPL-3, called and never linked), chosen so that telling them apart is neither trivial nor impossible: scores on it say
that the pipeline works, and nothing about real systems.
"""

from srctrace.corpora.builtin.noise import make_noise
from srctrace.corpora.builtin.options import BuiltinOptions
from srctrace.corpora.builtin.speak import IN_SET, LANGUAGES, OUT_OF_SET, speak

__all__ = ["IN_SET", "LANGUAGES", "OUT_OF_SET", "BuiltinOptions", "make_noise", "speak"]
