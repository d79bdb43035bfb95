"""Configs: complete ones are filled, wrong ones are told what is wrong."""

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from srctrace import grid
from srctrace.config import complete, fingerprint

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"


def load(name: str = "config.yaml") -> dict:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.mark.parametrize(
    "name", ["config.yaml", "config/tiny.yaml", "config/every-protocol.yaml", "config/mcl-mlaad.yaml"]
)
def test_shipped_configs_are_valid(name):
    config = complete(load(name), SCHEMA)
    assert complete(config, SCHEMA) == config
    assert config["train"]["epochs"] >= 1


def test_defaults_are_filled_in():
    config = complete({"corpus": load()["corpus"], "systems": ["lfcc-aasist"]}, SCHEMA)
    assert config["seeds"] == [1]
    assert config["lfcc"]["n_lfcc"] == 80
    assert config["noise"] == {"musan": "", "rirs": ""}


def change(path: str, value: object) -> dict:
    config = copy.deepcopy(load())
    *parents, last = path.split(".")
    section = config
    for parent in parents:
        section = section[parent]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sytems", ["lfcc-aasist"], "sytems: unknown key: did you mean 'systems'"),
        ("train.epoch", 3, "train.epoch: unknown key: did you mean 'epochs'"),
        ("corpus", None, "corpus: missing"),
        ("corpus.languages", None, "corpus.languages: missing: the languages"),
        ("train.epochs", "ten", "train.epochs: 'ten' is not of type 'integer'"),
        ("train.epochs", 0, "train.epochs: 0 is less than"),
        ("seeds", [1, 1], "seeds:.*non-unique"),
        ("corpus.languages", ["en", "xx"], "does not speak 'xx'; known: en, de, fr, it, pl, ru"),
        ("systems", ["lfcc-lstm"], "'lfcc-lstm' is not FRONT-END-BACK-END"),
        ("systems", ["mfcc-aasist"], "unknown front-end 'mfcc'; known: lfcc, xlsr-53-matched, wav2vec2-large-lv60"),
        ("variants", ["clean", "echo"], "variants.1: 'echo' is not one of"),
        ("variants", ["noise"], "train.variants: clean is not among variants"),
        ("corpus.out_of_set", ["klatt1"], "klatt1 cannot be in corpus.sources too"),
        ("corpus.sources", ["formant", ".b"], "corpus.sources.1: '.b' does not match"),
        ("corpus.sources", ["formant"], "corpus.sources: 1 named"),
        ("corpus.sources", None, "corpus.sources: 0 named"),
        ("corpus.released_lfcc", True, "corpus.released_lfcc: only mcl-mlaad"),
        ("protocols", ["all"], "protocols.0: 'all' is not one of"),
        ("corpus", {"name": "x", "type": "folder", "languages": ["xx"], "sources": ["a", "b"]}, "corpus.path: missing"),
        (
            "corpus",
            {"name": "x", "type": "table", "path": "d", "languages": ["xx"], "sources": ["a", "b"]},
            "corpus.table: missing",
        ),
        ("backends.resnet18", {"widht": 3}, "backends.resnet18.widht: unknown key"),
    ],
)
def test_wrong_configs_name_the_key(path, value, message):
    with pytest.raises(grid.ConfigError, match=message):
        complete(change(path, value), SCHEMA)


def test_a_changed_folder_has_another_fingerprint(tmp_path):
    (tmp_path / "en" / "a").mkdir(parents=True)
    (tmp_path / "en" / "a" / "1.wav").write_bytes(b"12")
    found = [fingerprint(tmp_path, ["en"])]
    (tmp_path / "en" / "a" / "1.wav").write_bytes(b"34")
    os.utime(tmp_path / "en" / "a" / "1.wav", ns=(0, 10**18))
    found.append(fingerprint(tmp_path, ["en"]))
    (tmp_path / "en" / "a" / "2.wav").touch()
    found.append(fingerprint(tmp_path, ["en"]))
    (tmp_path / "xx").mkdir()
    assert fingerprint(tmp_path, ["en"]) == found[-1]
    assert len(set(found)) == 3


def test_numbers_from_the_command_line_are_numbers():
    """Snakemake hands over what is inside brackets as text."""
    config = load() | {"seeds": ["1", "2"], "train": {"epochs": "3", "lr": "0.1"}, "lfcc": {"center": "true"}}
    complete_config = complete(config, SCHEMA)
    assert complete_config["seeds"] == [1, 2]
    assert (complete_config["train"]["epochs"], complete_config["train"]["lr"]) == (3, 0.1)
    assert complete_config["lfcc"]["center"] is True
    with pytest.raises(grid.ConfigError, match=r"seeds\.0: 'one' is not of type 'integer'"):
        complete(config | {"seeds": ["one"]}, SCHEMA)


def owners() -> dict[str, type]:
    """Sections of the config that are the fields of a dataclass."""
    from srctrace.backends import BACKENDS
    from srctrace.corpora.builtin import BuiltinOptions
    from srctrace.frontends.lfcc import LfccOptions
    from srctrace.protocol import SplitOptions
    from srctrace.train import TrainOptions

    sections = {"train": TrainOptions, "split": SplitOptions, "lfcc": LfccOptions, "builtin": BuiltinOptions}
    return sections | {f"backends.{name}": backend.options for name, backend in BACKENDS.items()}


@pytest.mark.parametrize("section", sorted(owners()))
def test_the_schema_says_what_the_code_says(section):
    """Names and defaults of the schema are those of the dataclass that owns them."""
    node = yaml.safe_load(SCHEMA.read_text())
    for part in section.split("."):
        node = node["properties"][part]
    fields = {field.name: field.default for field in dataclasses.fields(owners()[section])}
    elsewhere = {"split": {"seed"}, "lfcc": {"sample_rate"}}.get(section, set())  # one for the whole run
    own = set(node["properties"]) - {"split": {"lists"}}.get(section, set())  # the corpus reads these
    assert own == set(fields) - elsewhere
    for name in own:
        about = node["properties"][name]
        default = tuple(about["default"]) if isinstance(about["default"], list) else about["default"]
        assert default == pytest.approx(fields[name]) if isinstance(default, float) else default == fields[name], name
        assert about["description"]


def test_the_schema_names_the_registered_backends():
    from srctrace.backends import BACKENDS

    assert tuple(BACKENDS) == grid.BACKENDS


def test_the_grid_is_the_product():
    config = complete(change("seeds", [1, 2, 3]), SCHEMA)
    models = grid.models(config)
    assert len(models) == len(set(models)) == 3 * 6 * 3
    assert models[0].folder == "lfcc-resnet18/en/seed1"
    assert grid.split_system("lfcc-ecapa-tdnn") == ("lfcc", "ecapa-tdnn")


def test_the_grid_needs_the_standard_library_only():
    """The Snakefile imports it, and is read again for every job."""
    code = (
        "import sys; before = set(sys.modules); import srctrace.grid; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "new -= set(sys.stdlib_module_names) | {'srctrace'}; "
        "sys.exit(f'imported {new}' if new else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_order_of_lines_says_nothing():
    """What depends on a section would be made again otherwise."""
    base = yaml.safe_load((ROOT / "config.yaml").read_text())
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(base.items())
    }
    one, other = complete(base, SCHEMA), complete(turned, SCHEMA)
    assert json.dumps(one["train"]) == json.dumps(other["train"])
    assert json.dumps(one["builtin"]) == json.dumps(other["builtin"])
    assert list(one) == list(other)
