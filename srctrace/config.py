"""The config of a run: checked against its schema, with defaults filled in."""

import copy
import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, relevance

from srctrace import grid


def complete(config: Mapping, schema_path: str | os.PathLike) -> dict:
    """The config with every key of the schema present.

    Raises:
        grid.ConfigError: a key is unknown, missing, or of the wrong type or value; the message names it.
    """
    schema = yaml.safe_load(Path(schema_path).read_text(encoding="utf-8"))
    config = _read_numbers(dict(config), schema)
    errors = sorted(Draft202012Validator(schema).iter_errors(config), key=relevance)
    if errors:
        raise grid.ConfigError(_message(errors[-1]))
    filled = _fill(config, schema)
    corpus = filled["corpus"]
    if corpus["type"] == "builtin":
        corpus["path"] = corpus["path"] or "data/builtin"
    if filled["speakers"]["across_languages"] is None:
        filled["speakers"]["across_languages"] = filled["speakers"]["from"] == "corpus"
    grid.check(filled)
    return filled


def fingerprint(root: str | os.PathLike, languages: Sequence[str]) -> str:
    """What changes when a folder corpus does: number, size and latest change of all files of its languages.

    Cheap enough to be asked at every start; files are not read.
    """
    count, size, latest = 0, 0, 0
    for language in languages:
        for folder, _, names in os.walk(Path(root) / language):
            for name in names:
                status = os.stat(os.path.join(folder, name), follow_symlinks=True)
                count, size, latest = count + 1, size + status.st_size, max(latest, status.st_mtime_ns)
    return f"{count} files, {size} bytes, {latest}"


def files_below(path: str) -> list[str]:
    """The files of a folder, or the one; none for an empty path: what a rule depends on."""
    if not os.path.isdir(path):
        return [path] if path else []
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)


def _read_numbers(value: object, schema: Mapping) -> object:
    """A copy in which text is a number or a truth value where the schema wants one.

    Snakemake hands over what stands inside brackets after `--config` as text: `seeds=[1,2]` is ["1", "2"].
    """
    if isinstance(value, Mapping):
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        other = other if isinstance(other, Mapping) else {}
        return {key: _read_numbers(below, known.get(key, other)) for key, below in value.items()}
    if isinstance(value, list):
        return [_read_numbers(item, schema.get("items", {})) for item in value]
    kinds = schema.get("type", "string")
    if isinstance(value, str) and ("string" not in kinds or ("integer" in kinds and value.isdecimal())):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value
    return copy.deepcopy(value)


def _fill(value: object, schema: Mapping) -> object:
    """With defaults, and in the schema's order: nothing is made again because lines of a section changed places."""
    if isinstance(value, dict):
        if isinstance(schema.get("additionalProperties"), Mapping):  # names of the user's own, beside those known here
            value = copy.deepcopy(schema.get("default", {})) | value
        for key, below in schema.get("properties", {}).items():
            if key not in value and "default" in below:
                value[key] = copy.deepcopy(below["default"])
        known = schema.get("properties", {})
        return {key: _fill(value[key], below) for key, below in known.items() if key in value} | {
            key: below for key, below in value.items() if key not in known
        }
    return value


def _message(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in known)
        name = f"{where}.{unknown}" if where else unknown
        close = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        return f"{name}: unknown key: {hint}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        name = f"{where}.{missing}" if where else missing
        about = error.schema["properties"][missing].get("description", "")
        return f"{name}: missing: {about}"
    about = error.schema.get("description", "")
    return f"{where}: {error.message}" + (f" ({about})" if about else "")
