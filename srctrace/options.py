"""Dataclasses of options as command-line flags: one flag per field, with its default and help.

A field's metadata has its `help` and, where not every value will do, its `choices` or the least number, `low`.
"""

import argparse
import dataclasses
import math
import types
import typing
from collections.abc import Callable


def add_flags(parser: argparse.ArgumentParser, options: type) -> None:
    """Add a flag for each field of the dataclass `options`; argparse refuses what a field's metadata rules out."""
    hints = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        flag = "--" + field.name.replace("_", "-")
        words = {"help": field.metadata.get("help", ""), "default": field.default, "dest": field.name}
        kind = hints[field.name]
        if typing.get_origin(kind) in (typing.Union, types.UnionType):  # X | None: left out means None
            kind = next(part for part in typing.get_args(kind) if part is not type(None))
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **words)
        elif typing.get_origin(kind) is tuple:
            parser.add_argument(
                flag, nargs="+", type=typing.get_args(kind)[0], choices=field.metadata.get("choices"), **words
            )
        elif "low" in field.metadata:
            parser.add_argument(flag, type=at_least(kind, field.metadata["low"]), **words)
        else:
            parser.add_argument(flag, type=kind, choices=field.metadata.get("choices"), **words)


def at_least(kind: type, low: float) -> Callable[[str], float]:
    """What reads a flag's number of a kind, `int` or `float`, that is finite and at least `low`."""

    def read(text: str) -> float:
        value = kind(text)
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not a number from {low} up")
        return value

    read.__name__ = kind.__name__  # argparse names it where the text is no number at all
    return read


def from_flags(options: type, arguments: argparse.Namespace):
    """The dataclass, filled from parsed arguments."""
    values = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(options)}
    return options(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
