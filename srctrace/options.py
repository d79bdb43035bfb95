"""Dataclasses of options as command-line flags: one flag per field, with its default and help."""

import argparse
import dataclasses
import types
import typing


def add_flags(parser: argparse.ArgumentParser, options: type) -> None:
    """Add a flag for each field of the dataclass `options`; `field(metadata={"help": …})` is the flag's help."""
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
            parser.add_argument(flag, nargs="+", type=typing.get_args(kind)[0], **words)
        else:
            parser.add_argument(flag, type=kind, **words)


def from_flags(options: type, arguments: argparse.Namespace):
    """The dataclass, filled from parsed arguments."""
    values = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(options)}
    return options(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
