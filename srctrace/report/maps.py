"""Maps of embeddings as the page draws them: points with a class for each colouring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from srctrace.report.inputs import ReportData
from srctrace.report.projection import COLOURINGS

SIDE = 400  # of a map, in its own units
EDGE = 8
COLOURS = 8  # that can be told apart; what is beyond them is grey
OTHERS = "others"


@dataclass(frozen=True)
class Map:
    """One model's. A point is x, y, whether its source is known, its class names, and what it is in words."""

    system: str
    train: str
    seed: int
    points: Sequence[tuple[float, float, bool, str, str]]
    legends: Mapping[str, Sequence[tuple[str, int]]]  # by colouring: names and numbers of colours
    measures: Sequence[Mapping]


def maps(data: ReportData) -> list[Map]:
    """Every map that was made, in the config's order."""
    return [_map(data, model) for model in data.projection["models"]]


def _map(data: ReportData, model: Mapping) -> Map:
    colours = {by: _colours(data.order.unique(point[by] for point in model["points"])) for by in COLOURINGS}
    points = []
    for point in model["points"]:
        classes = " ".join(f"{by[:2]}{colours[by][point[by]]}" for by in COLOURINGS)
        place = (EDGE + (SIDE - 2 * EDGE) * value for value in (point["x"], 1 - point["y"]))
        words = ", ".join(point[by] for by in COLOURINGS if point[by])
        points.append((*(round(value, 1) for value in place), point["known"], classes, words))
    legends = {by: _legend(found) for by, found in colours.items() if len(found) > 1}
    return Map(model["system"], model["train"], model["seed"], points, legends, model["measures"])


def _colours(names: Sequence[str]) -> dict[str, int]:
    """A colour for each name; the last is for all that are beyond the others."""
    return {name: min(place, COLOURS) for place, name in enumerate(names)}


def _legend(colours: Mapping[str, int]) -> list[tuple[str, int]]:
    named = [(name, colour) for name, colour in colours.items() if colour < COLOURS]
    beyond = len(colours) - len(named)
    return [*named, (f"{beyond} {OTHERS}", COLOURS)] if beyond else named
