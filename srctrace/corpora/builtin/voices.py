"""Speakers: voices that espeak makes from a few numbers, well apart from each other.

A speaker is a point in a space of voice qualities. The points follow a Kronecker sequence with the generalised golden
ratio (M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018): however many are taken, they are
spread evenly, so no two speakers are close.
"""

from dataclasses import dataclass

import numpy as np

from srctrace.rng import generator

N_QUALITIES = 8


@dataclass(frozen=True)
class Voice:
    """A speaker. Percentages are of espeak's default voice."""

    pitch: float  # Hz, the low end
    pitch_range: float  # the high end is this many times the low one
    vocal_tract: float  # formant frequencies, %
    brightness: float  # level of formants 3 to 5, %
    width: float  # bandwidth of formants 1 to 5, %
    flutter: int  # slow wavering of the pitch, 0 to 20
    consonants: float  # level of consonants, %
    rate: int  # words per minute


def draw_voice(speaker: int, seed: int) -> Voice:
    """Speaker number `speaker`, counted from 0. Women and men take turns, and differ as larynx and vocal tract do."""
    ratio = 2.0
    for _ in range(40):  # the root of x^(d+1) = x + 1
        ratio = (1 + ratio) ** (1 / (N_QUALITIES + 1))
    start = generator(seed, "voices").random(N_QUALITIES)
    point = ((start + (speaker + 1) / ratio ** np.arange(1, N_QUALITIES + 1)) % 1).tolist()
    woman = speaker % 2 == 1
    low, high = (150, 235) if woman else (80, 130)
    return Voice(
        pitch=low * (high / low) ** point[0],
        pitch_range=1.25 + 0.35 * point[1],
        vocal_tract=(104 if woman else 90) + 14 * point[2],
        brightness=75 + 50 * point[3],
        width=80 + 40 * point[4],
        flutter=int(1 + 14 * point[5]),
        consonants=80 + 40 * point[6],
        rate=int(150 + 40 * point[7]),
    )


def variant_file(voice: Voice, name: str, klatt: int = 0) -> str:
    """The text of an espeak voice variant: the speaker under espeak's own synthesis, or under its Klatt synthesiser
    with glottal source number `klatt`.
    """
    lines = ["language variant", f"name {name}", f"pitch {voice.pitch:.0f} {voice.pitch * voice.pitch_range:.0f}"]
    lines.append(f"flutter {voice.flutter}")
    for formant in range(1, 9):
        level = voice.brightness if 3 <= formant <= 5 else 100
        width = voice.width if formant <= 5 else 100
        lines.append(f"formant {formant} {voice.vocal_tract:.0f} {level:.0f} {width:.0f}")
    lines.append(f"consonants {voice.consonants:.0f} {voice.consonants:.0f}")
    if klatt:
        lines.append(f"klatt {klatt}")
    return "\n".join(lines) + "\n"
