"""The colour of a rate: a scale from pale to dark that is even to the eye, and readable text on it."""

import numpy as np

STOPS = ("#fefbea", "#c5e6bb", "#57b8a8", "#2a78ab", "#1c2d6b")

# Linear sRGB to cone responses, and their cube roots to lightness and two hue axes:
# B. Ottosson, "A perceptual color space for image processing" (OKLab), 2020.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def shade(value: float) -> tuple[str, str]:
    """Colour of a rate from 0 to 1, and the colour of text on it: black or white, whichever contrasts more.

    Equal steps of the rate are equal distances in OKLab, so that no step of the scale looks larger than another.
    """
    path = np.stack([_to_lab(_linear(stop)) for stop in STOPS])
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    places = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
    at = [np.interp(value, places, path[:, axis]) for axis in range(3)]
    linear = np.clip(_from_lab(np.array(at)), 0.0, 1.0)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    ink = "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * part):02x}" for part in encoded.tolist()), ink


def _linear(color: str) -> np.ndarray:
    encoded = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _to_lab(linear: np.ndarray) -> np.ndarray:
    return _TO_LAB @ np.cbrt(_TO_CONES @ linear)


def _from_lab(lab: np.ndarray) -> np.ndarray:
    return np.linalg.solve(_TO_CONES, np.linalg.solve(_TO_LAB, lab) ** 3)
