"""Randomness is addressed, not streamed.

Every draw comes from a counter-based generator keyed by what it is for, as `generator(seed, utterance, "crop")`. A
result therefore does not depend on batch size, worker count, or the order in which things happen.
"""

import hashlib

import numpy as np


def address_key(*address: str | int) -> int:
    """A 128-bit key for an address. Parts are separated, so that ("a", "bc") and ("ab", "c") differ."""
    text = "\x1f".join(str(part) for part in address)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(*address: str | int) -> np.random.Generator:
    """A fresh generator (Philox, Salmon et al. 2011) for an address."""
    return np.random.Generator(np.random.Philox(key=address_key(*address)))
