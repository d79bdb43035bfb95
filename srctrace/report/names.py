"""Names of the figures' files, for the workflow to declare. Standard library only."""

from collections.abc import Sequence

SYSTEM_KINDS = ("heatmap-clean", "heatmap-all", "confusion", "curves")
"""Figures of one system in one protocol."""

PROTOCOL_KINDS = ("systems", "variants")
"""Figures that put all systems of a protocol side by side."""


def system_figure(protocol: str, system: str, kind: str) -> str:
    """Path of a system's figure, below the report's folder."""
    return f"figures/{protocol}/{system}-{kind}.svg"


def protocol_figure(protocol: str, kind: str) -> str:
    """Path of a figure of all systems, below the report's folder."""
    return f"figures/{protocol}/{kind}.svg"


def figure_names(protocol: str, systems: Sequence[str]) -> list[str]:
    """Every figure of a protocol, below the report's folder."""
    side_by_side = [protocol_figure(protocol, kind) for kind in PROTOCOL_KINDS]
    return side_by_side + [system_figure(protocol, system, kind) for system in systems for kind in SYSTEM_KINDS]
