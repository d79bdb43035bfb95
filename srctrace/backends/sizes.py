"""The sizes of a back-end: a dataclass whose fields carry their meaning and bounds, filled from a mapping."""

import types
from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from srctrace.errors import UserError


def size(default: Any, meaning: str, low: float = 1, high: float | None = None) -> Any:
    """A dataclass field with a default, what it means, and the bounds of its value (of each value, in a tuple)."""
    return field(default=default, metadata={"help": meaning, "low": low, "high": high})


def parse_sizes(backend: str, options: type, sizes: Mapping[str, Any]) -> Any:
    """The dataclass `options`, filled from `sizes`; what is left out keeps its default, and lists become tuples.

    Raises:
        UserError: a key is unknown, or a value has the wrong type or is out of bounds.
    """
    hints = get_type_hints(options)
    known = {each.name: each for each in fields(options)}
    values = {}
    for name, value in sizes.items():
        if name not in known:
            raise UserError(f"back-end {backend!r} has no size {name!r}; it has: {', '.join(known)}")
        if not _fits(value, hints[name], known[name].metadata):
            wanted = _describe(hints[name], known[name])
            raise UserError(f"back-end {backend!r}: size {name!r} must be {wanted}, not {value!r}")
        values[name] = tuple(value) if isinstance(value, list) else value
    return options(**values)


def _fits(value: Any, hint: Any, bounds: Mapping[str, Any]) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, part, bounds) for part in get_args(hint))
    if get_origin(hint) is tuple:
        (each, _) = get_args(hint)
        return isinstance(value, list | tuple) and len(value) > 0 and all(_fits(v, each, bounds) for v in value)
    if hint is types.NoneType:
        return value is None
    numbers = (int, float) if hint is float else hint
    if isinstance(value, bool) or not isinstance(value, numbers):
        return False
    return value >= bounds["low"] and (bounds["high"] is None or value <= bounds["high"])


def _describe(hint: Any, described: Field) -> str:
    low, high = described.metadata["low"], described.metadata["high"]
    bounds = f"at least {low}" if high is None else f"from {low} to {high}"
    if get_origin(hint) is tuple:
        return f"a list of {get_args(hint)[0].__name__}, each {bounds}"
    kinds = [part.__name__ for part in get_args(hint) or (hint,) if part is not types.NoneType]
    return f"{' or '.join(kinds)} {bounds}" + (", or null" if types.NoneType in get_args(hint) else "")
