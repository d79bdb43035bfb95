"""Randomness is addressed, not streamed.

Every draw comes from a counter-based generator keyed by what it is for, as `generator(seed, utterance, "crop")`. A
result therefore does not depend on batch size, worker count, or the order in which things happen.
"""

import hashlib

import numpy as np


def address_key(*address: str | int) -> int:
    """A 128-bit key for an address. Parts are separated, so that ("a", "bc") and ("ab", "c") differ."""
    return int.from_bytes(hashlib.blake2b(_text(address), digest_size=16).digest(), "little")


def _text(address: tuple[str | int, ...]) -> bytes:
    return "\x1f".join(str(part) for part in address).encode()


def generator(*address: str | int) -> np.random.Generator:
    """A fresh generator (Philox, Salmon et al. 2011) for an address."""
    return np.random.Generator(np.random.Philox(key=address_key(*address)))


def uniforms(count: int, *address: str | int) -> list[float]:
    """`count` numbers for an address, uniform in [0, 1): where a few are wanted, much cheaper than a generator.

    Their bits are those of SHAKE-128 (NIST FIPS 202).
    """
    bits = hashlib.shake_128(_text(address)).digest(8 * count)
    return ((np.frombuffer(bits, "<u8") >> 11) * 2.0**-53).tolist()
