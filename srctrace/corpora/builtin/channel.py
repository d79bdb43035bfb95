"""The recording channel of a language.

The speech of real corpora was recorded by other people, in other rooms and with other microphones in each language, and
a model that crosses languages crosses these too. Here each language is coloured by a smooth frequency response of its
own, the same for every speaker and source, so that it tells nothing about the source.
"""

from functools import lru_cache

import numpy as np
from scipy.signal import firwin2, oaconvolve

from srctrace.rng import generator

KNOTS = (100.0, 250.0, 600.0, 1400.0, 3200.0, 7000.0)  # Hz: between them the response is interpolated in dB
SPREAD = 4.0  # dB, the standard deviation at a knot
TAPS = 513


def through_channel(wave: np.ndarray, language: str, seed: int, sample_rate: int) -> np.ndarray:
    """`wave`, float `(samples,)`, as recorded in a language: of the same length, without delay."""
    return oaconvolve(wave, _response(language, seed, sample_rate), mode="same")


@lru_cache
def _response(language: str, seed: int, sample_rate: int) -> np.ndarray:
    gains = generator(seed, "channel", language).normal(0.0, SPREAD, len(KNOTS))
    frequencies = np.linspace(0, sample_rate / 2, TAPS)
    decibel = np.interp(np.log(np.maximum(frequencies, 1.0)), np.log(KNOTS), gains)
    return firwin2(TAPS, frequencies, 10 ** (decibel / 20), fs=sample_rate)
