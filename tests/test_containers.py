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
    """The modules that commands import, by the functions of srctrace.cli that define them and those that these call."""
    body = [node for path in (ROOT / "srctrace/cli").glob("*.py") for node in ast.parse(path.read_text()).body]
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
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
    code = (
        "import importlib, sys; sys.path.append(sys.argv[1]); [importlib.import_module(name) for name in sys.argv[2:]]"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path), *sorted(wanted)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# What images are made of.


def stages(image: str) -> list[str]:
    text = re.sub(r"^#.*\n|^\n", "", dockerfile(image), flags=re.MULTILINE)
    return re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]


def test_the_compiler_is_installed_once_for_all_images():
    assert len({stages(image)[0] for image in IMAGES}) == 1


@pytest.mark.parametrize("image", IMAGES)
def test_images_begin_with_a_base_that_can_be_chosen(image):
    assert re.search(r"^ARG BASE_IMAGE=[\w./-]+:(?!latest)[\w.-]+$", dockerfile(image), re.MULTILINE)
    names = {"${BASE_IMAGE}"} | set(re.findall(r"^FROM \S+ AS (\S+)", dockerfile(image), re.MULTILINE))
    assert set(re.findall(r"^FROM (\S+)", dockerfile(image), re.MULTILINE)) <= names


@pytest.mark.parametrize("image", IMAGES)
def test_what_a_change_of_code_makes_anew_comes_last(image):
    final = stages(image)[-1]
    instructions = re.findall(r"^[A-Z]+", final, re.MULTILINE)
    code = final.index("COPY --from=code")
    assert not re.search(r"^(RUN|COPY) ", final[code + 1 :], re.MULTILINE)
    assert instructions[-4:] == ["USER", "ARG", "ARG", "LABEL"]
    # Not before: another revision would change every layer after it.
    assert not re.search("VERSION|REVISION", dockerfile(image)[: -len(final)].replace("TORCH_VERSION", ""))
    for label in ("title", "version", "revision", "source", "licenses"):
        assert f"org.opencontainers.image.{label}=" in final


@pytest.mark.parametrize("image", IMAGES)
def test_all_that_is_installed_is_pinned_by_hash(image):
    text = dockerfile(image).replace("\\\n", "")
    commands = re.findall(r"\bpip\b[^&\n]* (?:install|wheel) [^&\n]*", text)
    assert len(commands) >= 4
    for command in commands:
        other = "torch==${TORCH_VERSION}" in command and image == "model-cpu"
        made_here = "--no-index" in command or command.rstrip().endswith(" /dist .")
        assert "--no-deps" in command
        assert "--require-hashes" in command or made_here or other


@pytest.mark.parametrize("image", IMAGES)
def test_all_that_is_copied_is_sent_to_the_builder(image):
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile(image), re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in rules or (Path(source).match("containers/*.lock") and "!containers/*.lock" in rules)


# What `containers/build` does, with engines that only pretend.

TOOLS = ("bash", "cat", "dirname", "env", "git", "grep", "mkdir", "mktemp", "mv", "rm", "sed")
ENGINE = """#!/usr/bin/env bash
echo "${0##*/} $*" >>"$PRETEND/log"
case "$1 $2" in
  "image inspect") cat "$PRETEND/id" ;;
  save*) while [ "$1" != --output ]; do shift; done; mkdir "$2" ;;
esac
"""
APPTAINER = """#!/usr/bin/env bash
if [ "${*: -1}" = --help ]; then exit; fi
echo "${0##*/} $*" >>"$PRETEND/log"
cat "$PRETEND/id" >"${*: -2:1}"
[ ! -e "$PRETEND/broken" ]
"""


class Builder:
    """`containers/build` in a copy of the tree, with no more programs than are named."""

    def __init__(self, folder: Path, *programs: str):
        self.tree, self.bin, self.temporary = folder / "tree", folder / "bin", folder / "tmp"
        for path in (self.bin, self.temporary, self.tree / "containers"):
            path.mkdir(parents=True)
        for path in (ROOT / "pyproject.toml", CONTAINERS / "build", *CONTAINERS.glob("*.Dockerfile")):
            shutil.copy(path, self.tree / path.relative_to(ROOT))
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for program in programs:
            (self.bin / program).write_text(ENGINE if program in ("docker", "podman") else APPTAINER)
            (self.bin / program).chmod(0o755)
        self.folder = folder
        self.becomes("one")

    def becomes(self, image: str) -> None:
        (self.folder / "id").write_text(f"sha256:{image}\n")

    def run(self, *images: str, **environment: str) -> subprocess.CompletedProcess:
        fixed = {"PATH": str(self.bin), "PRETEND": str(self.folder), "TMPDIR": str(self.temporary), "LC_ALL": "C"}
        (self.folder / "log").write_text("")
        done = subprocess.run(
            [self.tree / "containers/build", *images],
            env=fixed | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not list(self.temporary.iterdir())
        assert not list(self.tree.glob("containers/.*"))
        return done

    def log(self, words: str) -> list[str]:
        return [line for line in (self.folder / "log").read_text().splitlines() if line.startswith(words)]

    def sif(self, image: str) -> Path:
        return self.tree / f"containers/{image}.sif"


@pytest.fixture
def builder(tmp_path):
    return Builder(tmp_path, "podman", "apptainer")


def test_images_are_built_and_converted(builder):
    done = builder.run("report", "model-cpu", BASE_IMAGE="mine:1", TORCH_INDEX="file:///x", BUILD_FLAGS="--a b")
    assert done.returncode == 0, done.stderr
    assert "--config 'containers=containers/{image}.sif'" in done.stderr.splitlines()[-1]
    report, model = builder.log("podman build")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"--tag localhost/srctrace/report:{version} " in report
    assert f"--a b --build-arg VERSION={version} --build-arg REVISION=unknown --build-arg BASE_IMAGE=mine:1 " in report
    assert "TORCH_INDEX" not in report
    assert "--build-arg TORCH_INDEX=file:///x " in model
    assert builder.sif("report").read_text() == builder.sif("model-cpu").read_text() == "sha256:one\n"


def test_the_revision_is_that_of_the_checkout(builder):
    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(builder.tree), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=x")
    builder.run("report")
    assert f"--build-arg REVISION={git('rev-parse', 'HEAD')} " in builder.log("podman build")[0]
    (builder.tree / "pyproject.toml").open("a").write("# changed\n")
    builder.run("report")
    assert f"--build-arg REVISION={git('rev-parse', 'HEAD')}-dirty " in builder.log("podman build")[0]


def test_an_image_is_converted_again_if_it_is_another(builder):
    builder.run("report")
    assert "already" in builder.run("report").stderr
    assert not builder.log("apptainer")
    builder.becomes("two")
    builder.run("report")
    assert builder.sif("report").read_text() == "sha256:two\n"
    assert "already" in builder.run("report").stderr
    builder.sif("report").unlink()
    builder.run("report")
    assert builder.sif("report").exists()


def test_a_file_that_was_put_there_is_not_taken_for_the_image(builder):
    builder.run("report")
    made = builder.sif("report").with_suffix(".sif.id").stat().st_mtime
    builder.sif("report").write_text("another")
    os.utime(builder.sif("report"), (made + 1, made + 1))
    builder.run("report")
    assert builder.sif("report").read_text() == "sha256:one\n"


def test_a_conversion_that_fails_leaves_what_was_there(builder):
    builder.run("report")
    builder.becomes("two")
    (builder.folder / "broken").touch()
    assert builder.run("report").returncode != 0
    assert builder.sif("report").read_text() == "sha256:one\n"
    (builder.folder / "broken").unlink()
    builder.run("report")
    assert builder.sif("report").read_text() == "sha256:two\n"


def test_docker_and_singularity_do_as_well(tmp_path):
    builder = Builder(tmp_path, "docker", "podman", "singularity")
    assert builder.run("report").returncode == 0
    assert not builder.log("podman")
    assert "docker-archive:" in builder.log("singularity build")[0]
    assert builder.run("report", ENGINE="podman").returncode == 0
    assert builder.log("podman build")


@pytest.mark.parametrize(
    ("programs", "environment", "message"),
    [
        (["apptainer"], {}, "tried docker, podman"),
        (["apptainer", "podman"], {"ENGINE": "docker"}, "tried docker)"),
        (["podman"], {}, "no apptainer"),
    ],
)
def test_what_is_missing_is_named(tmp_path, programs, environment, message):
    done = Builder(tmp_path, *programs).run("report", **environment)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_image_is_refused_before_anything_is_built(builder):
    done = builder.run("report", "model")
    assert done.returncode == 1
    assert "model: no such image: there are model-cpu model-cuda preprocess report" in done.stderr
    assert not builder.log("podman build")


def test_the_model_image_is_that_of_the_machine(tmp_path):
    with_gpu = Builder(tmp_path / "gpu", "podman", "apptainer", "nvidia-smi")
    with_gpu.run()
    assert [line.rsplit("/", 1)[1].split(":")[0] for line in with_gpu.log("podman build")] == [
        "preprocess",
        "report",
        "model-cuda",
    ]
    if not Path("/dev/nvidia0").exists():
        without = Builder(tmp_path / "none", "podman", "apptainer")
        without.run()
        assert without.sif("model-cpu").exists()
        assert not without.sif("model-cuda").exists()
