"""Write `docs/config.md` and `docs/commands.md` from the config's schema and the command line: `make docs`."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from srctrace.cli import COMMANDS
from srctrace.files import atomic_path

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
NOTE = "*Written by `make docs`; change {source} instead.*"


def config_page(schema: Mapping) -> str:
    """Every key of a config, section by section."""
    lines = [
        "# Every key of the config",
        "",
        NOTE.format(source="`workflow/schemas/config.schema.yaml`"),
        "",
        "A config is YAML. `config.yaml` is the default run; one given with `--configfile` stands alone, and what it "
        "leaves out has the default below. A single key is changed for a run with `--config`, as "
        "`--config 'seeds=[1,2,3]'`. A key that is not here, or of another type, is refused before anything runs.",
        "",
    ]
    required = schema["required"]
    plain = {key: value for key, value in schema["properties"].items() if "properties" not in value}
    lines += ["## At the top", "", *_key_table("", plain, required), ""]
    for key, value in schema["properties"].items():
        if "properties" in value:
            lines += [f"## `{key}`", "", _sentence(value.get("description", "")), ""]
            lines += [*_key_table(key, value["properties"], value.get("required", [])), ""]
    return "\n".join(lines).rstrip() + "\n"


def commands_page() -> str:
    """Every subcommand of `srctrace`, in the order of the workflow."""
    lines = [
        "# Every command",
        "",
        NOTE.format(source="`srctrace/cli/`"),
        "",
        "The workflow's rules call these, and so may a person; `srctrace COMMAND --help` says the same. Status 0 is "
        "success, 2 something wrong that the message says how to mend.",
        "",
        "| command | what it does |",
        "| --- | --- |",
        *(f"| [`{name}`](#{name}) | {_cell(command.summary)} |" for name, command in COMMANDS.items()),
        "",
    ]
    for name, command in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"srctrace {name}", add_help=False)
        command.define(parser)
        lines += [f"## {name}", "", _sentence(command.summary), ""]
        lines += ["| argument | default | what it is |", "| --- | --- | --- |"]
        lines += [_argument_row(action) for action in parser._actions]  # argparse has no other list of them
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _key_table(prefix: str, keys: Mapping[str, Mapping], required: list[str]) -> list[str]:
    lines = ["| key | type | default | what it is |", "| --- | --- | --- | --- |"]
    for path, value, is_required in _leaves(prefix, keys, required):
        default = "**required**" if is_required else f"`{_yaml(value['default'])}`" if "default" in value else ""
        lines.append(f"| `{path}` | {_cell(_type(value))} | {_cell(default)} | {_cell(value.get('description', ''))} |")
    return lines


def _leaves(prefix: str, keys: Mapping[str, Mapping], required: list[str]) -> Iterator[tuple[str, Mapping, bool]]:
    for key, value in keys.items():
        path = f"{prefix}.{key}" if prefix else key
        if "properties" in value:
            yield from _leaves(path, value["properties"], value.get("required", []))
        else:
            yield path, value, key in required


def _type(value: Mapping) -> str:
    if "enum" in value:
        return " or ".join(f"`{_yaml(choice)}`" for choice in value["enum"])
    kinds = value.get("type", value.get("oneOf", value.get("anyOf", "any")))
    if isinstance(kinds, list):
        return " or ".join(dict.fromkeys(kind if isinstance(kind, str) else _type(kind) for kind in kinds))
    if kinds == "array":
        return f"list of {_type(value['items'])}"
    bounds = [
        f"{word} {value[key]}"
        for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
        if key in value
    ]
    return " ".join(["mapping" if kinds == "object" else kinds, *bounds])


def _argument_row(action: argparse.Action) -> str:
    if action.option_strings:
        name = ", ".join(f"`{option}`" for option in action.option_strings)
    else:
        name = f"`{action.metavar or action.dest}`"
    if action.nargs in ("+", "*"):
        name += " …"
    help_text = (action.help or "").replace("%(default)s", str(action.default))
    if action.choices is not None:
        help_text += f" ({', '.join(map(str, action.choices))})"
    if action.required:
        default = "**required**"
    else:
        default = "" if action.default in (None, [], "", argparse.SUPPRESS) else f"`{_plain(action.default)}`"
    return f"| {name} | {default} | {_cell(help_text.strip())} |"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _sentence(text: str) -> str:
    return text[:1].upper() + " ".join(text.split())[1:] + "." if text else ""


PAGES = {"config.md": lambda: config_page(yaml.safe_load(SCHEMA.read_text("utf-8"))), "commands.md": commands_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        with atomic_path(ROOT / "docs" / name) as temporary:
            temporary.write_text(page(), encoding="utf-8")
