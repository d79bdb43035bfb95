"""Flags that commands of several stages have."""

import argparse
from pathlib import Path

from srctrace.grid import LAST, WEIGHTED
from srctrace.options import at_least


def add_device(parser: argparse.ArgumentParser) -> None:
    """Flags for where to compute, and on how many threads."""
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--threads", type=at_least(int, 1), default=1)


def add_checkpoint(parser: argparse.ArgumentParser, required: bool) -> None:
    """Flags for an SSL model and what is used of it."""

    def layers(text: str) -> str | int:
        return text if text in (LAST, WEIGHTED) else int(text)

    parser.add_argument("--checkpoint", type=Path, required=required, help="what `srctrace fetch-weights` wrote of it")
    parser.add_argument("--layers", type=layers, default=LAST, help=f"{LAST}, {WEIGHTED} (all), or the number of one")
