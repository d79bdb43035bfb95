"""The container images, without building one: what is pinned, what commands need, and what `containers/build` does."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTAINERS = ROOT / "containers"
IMAGES = ("preprocess", "model-cpu", "model-cuda", "report")
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)( ; .+?)? \\$", re.MULTILINE)
TITLE = "org.opencontainers.image.title"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> set[tuple[str, str, str]]:
    """Name, version and marker of every package of a lock file."""
    return {(normal(name), version, marker) for name, version, marker in PIN.findall(path.read_text())}


def packages(name: str) -> set[str]:
    return {package for package, *_ in pins(CONTAINERS / f"{name}.lock")}


def dockerfile(image: str) -> str:
    return (CONTAINERS / f"{image}.Dockerfile").read_text()


# What is pinned.


@pytest.mark.parametrize("name", [*IMAGES, "build"])
def test_versions_are_those_of_the_environment(name):
    assert pins(CONTAINERS / f"{name}.lock")
    everything = {(package, version) for package, version, _ in pins(ROOT / "requirements.lock")}
    assert {(package, version) for package, version, _ in pins(CONTAINERS / f"{name}.lock")} <= everything


def test_the_cuda_compiler_fits_the_cuda_of_torch():
    here = {package: version for package, version, _ in pins(CONTAINERS / "nvcc.lock")}
    everything = {package: version for package, version, _ in pins(ROOT / "requirements.lock")}
    assert here["nvidia-cuda-runtime"] == everything["nvidia-cuda-runtime"]
    assert {version.rpartition(".")[0] for version in here.values()} == {"13.0"}


@pytest.mark.parametrize("path", sorted(CONTAINERS.glob("*.lock")), ids=lambda path: path.stem)
def test_locks_have_hashes_and_name_no_place(path):
    text = path.read_text()
    assert len(PIN.findall(text)) == len(re.findall("^[^ #]", text, re.MULTILINE))
    assert len(re.findall(r" \\\n    --hash=sha256:[0-9a-f]{64}(?: \\)?\n", text)) >= len(PIN.findall(text))
    assert all("--hash=sha256:" in after for after in PIN.split(text)[4::4])
    assert "://" not in text
    assert "--index-url" not in text


@pytest.mark.parametrize("name", [*IMAGES, "build", "nvcc"])
def test_locks_have_what_pyproject_asks_for(name):
    entries = list(GROUPS[name])
    entries += [entry for item in entries if isinstance(item, dict) for entry in GROUPS[item["include-group"]]]
    asked = {normal(re.match(r"[\w.-]+", entry).group()) for entry in entries if isinstance(entry, str)}
    assert asked <= packages(name)


def test_torch_is_where_models_run_and_nowhere_else():
    locks = {path.stem: packages(path.stem) for path in CONTAINERS.glob("*.lock")}
    assert [name for name in locks if "torch" in locks[name]] == ["model-cuda"]
    # Nothing else brings CUDA along.
    assert {name for name in locks if any(package.startswith("nvidia-") for package in locks[name])} == {
        "model-cuda",
        "nvcc",
    }


def test_what_torch_needs_on_processors_is_there():
    (version,) = {version for package, version, _ in pins(ROOT / "requirements.lock") if package == "torch"}
    assert f"ARG TORCH_VERSION={version}\n" in dockerfile("model-cpu")
    needs = [need for need in importlib.metadata.requires("torch") if not re.search("extra|platform_system", need)]
    assert {normal(re.match(r"[\w.-]+", need).group()) for need in needs} <= packages("model-cpu")


# What the commands of the workflow's rules need.


def commands() -> dict[str, set[str]]:
    """The commands that run in each image, as the rules say."""
    found: dict[str, set[str]] = {image: set() for image in IMAGES}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^ *rule\b", path.read_text(), flags=re.MULTILINE)[1:]:
            images = {
                image
                for line in re.findall(r"^ *image\(.*", rule, re.MULTILINE)
                for name in re.findall(r'"(preprocess|model|report)"', line)
                for image in IMAGES
                if image.split("-")[0] == name
            }
            for command in re.findall(r"\bsrctrace ([a-z]+(?:-[a-z]+)*) [{-]", rule):
                for image in images:
                    found[image].add(command)
    return found


def modules(names: set[str]) -> set[str]:
    """The modules that commands import, by the functions of cli.py that define them and those that these call."""
    functions = {node.name: node for node in ast.parse((ROOT / "srctrace/cli.py").read_text()).body if isinstance(node, ast.FunctionDef)}
    found: set[str] = set()
    todo = [
        function
        for function in functions.values()
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call) and decorator.args[0].value in names
    ]
    assert len(todo) == len(names)
    while todo:
        for node in ast.walk(todo.pop()):
            if isinstance(node, ast.ImportFrom):
                found.add(node.module)
            elif isinstance(node, ast.Name) and node.id in functions:
                todo.append(functions.pop(node.id))
    return found


@pytest.mark.parametrize("image", IMAGES)
def test_commands_find_all_that_they_import_in_their_image(image, tmp_path):
    installed = packages(image) | {"srctrace", *(["torch"] if image == "model-cpu" else [])}
    for distribution in importlib.metadata.distributions():
        if normal(distribution.name) not in installed - {"srctrace"}:
            continue
        for name in {Path(file).parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            link = tmp_path / name
            if not link.exists():
                link.symlink_to(distribution.locate_file(name))
    (tmp_path / "srctrace").symlink_to(ROOT / "srctrace")
    wanted = modules(commands()[image])
    assert wanted
    code = "import importlib, sys; sys.path.append(sys.argv[1]); [importlib.import_module(name) for name in sys.argv[2:]]"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path), *sorted(wanted)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
