"""Names of the figures' files, for the workflow to declare. Standard library only."""

import re
from collections.abc import Mapping, Sequence

from srctrace.grid import OUT_OF_SET, Cell, cells

SYSTEM_KINDS = ("heatmap-clean", "heatmap-all", "confusion", "curves")
"""Figures of one system in one protocol."""

PROTOCOL_KINDS = ("systems", "variants", "reliability")
"""Figures that put all systems of a protocol side by side."""

OPEN_SET_KINDS = ("open-set", "detection", "few-shot")
"""Figures of the protocol `out-of-set`, all systems side by side."""

MOST_PANELS = 2000
"""Cells that the page opens to more than a number: each takes some 3 kB of it."""


def opened(config: Mapping) -> list[Cell]:
    """The cells that open in the page, each for every system: those of as many protocols as there is room for."""
    found: list[Cell] = []
    for protocol in config["protocols"]:
        own = cells({**config, "protocols": [protocol]})
        if len(config["systems"]) * (len(found) + len(own)) <= MOST_PANELS:
            found += own
    return found


def system_figure(protocol: str, system: str, kind: str) -> str:
    """Path of a system's figure, below the report's folder."""
    return f"figures/{protocol}/{system}-{kind}.svg"


def protocol_figure(protocol: str, kind: str) -> str:
    """Path of a figure of all systems, below the report's folder."""
    return f"figures/{protocol}/{kind}.svg"


def figure_names(protocol: str, systems: Sequence[str]) -> list[str]:
    """Every figure of a protocol, below the report's folder."""
    if protocol == OUT_OF_SET:
        return [protocol_figure(protocol, kind) for kind in OPEN_SET_KINDS]
    side_by_side = [protocol_figure(protocol, kind) for kind in PROTOCOL_KINDS]
    return side_by_side + [system_figure(protocol, system, kind) for system in systems for kind in SYSTEM_KINDS]


def slug(*names: str) -> str:
    """An id for what has these names: any other character than letters, digits, dots and dashes is written as its
    number, so that different names never share one."""
    return ":".join(re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}_", name) for name in names)
