"""Which sentence a speaker says of a carrier."""

import re
from dataclasses import dataclass
from math import prod

from srctrace.corpora.builtin.grammars import CARRIERS
from srctrace.rng import generator


@dataclass(frozen=True)
class Sentence:
    """A carrier with its slots filled."""

    carrier: str  # id, as en-c03
    id: str  # id of the exact words, as en-c03-s017
    words: str


def draw_sentence(language: str, carrier: int, speaker: int, seed: int) -> Sentence:
    """The sentence that a speaker says of a carrier, both counted from 0.

    Speakers go through a drawn order of all the ways to fill the slots, so they say different sentences until there
    are none left.
    """
    fixed, slots = parse(CARRIERS[language][carrier])
    ways = prod(len(slot) for slot in slots)
    way = int(generator(seed, language, carrier, "sentences").permutation(ways)[speaker % ways])
    words, rest = fixed[0], way
    for slot, after in zip(slots, fixed[1:], strict=True):
        rest, choice = divmod(rest, len(slot))
        words += slot[choice] + after
    name = f"{language}-c{carrier + 1:02d}"
    return Sentence(name, f"{name}-s{way:05d}", words)


def parse(carrier: str) -> tuple[list[str], list[list[str]]]:
    """The fixed parts of a carrier and the choices of the slots between them."""
    parts = re.split(r"[{}]", carrier)
    return parts[::2], [slot.split("|") for slot in parts[1::2]]
