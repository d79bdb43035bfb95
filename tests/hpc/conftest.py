"""The container images, built for real: once, from a copy of the checkout, and gone after the tests."""

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BASE = "localhost/srctrace-base:py311"
# Of the two images for models the one that is exactly requirements.lock, so that numbers are the same to the byte.
IMAGES = ("preprocess", "report", "model-cuda")
FREE_GB = 32


def why_no_containers(folder: str | os.PathLike) -> str | None:
    """Why images cannot be built on this machine, or None where they can."""
    if os.geteuid() != 0:
        return "the containers' tests need root: they mount images, and run as other users"
    if missing := [name for name in ("apptainer", "debootstrap", "mksquashfs", "podman") if not shutil.which(name)]:
        return f"{', '.join(missing)} not found: needs Debian's podman, crun and debootstrap, and Apptainer"
    if (free := shutil.disk_usage(folder).free / 1e9) < FREE_GB:
        return f"{folder} has {free:.0f} GB free: the containers' tests need {FREE_GB} for a while: set TMPDIR"
    return None


def require(reason: str | None) -> None:
    """Skip a test where there is a reason; where `make test-hpc` was asked for, it has failed."""
    if reason:
        (pytest.fail if os.environ.get("SRCTRACE_HPC") else pytest.skip)(reason)


@dataclass(frozen=True)
class Images:
    """What `containers/build` has made of the Dockerfiles of `tree`."""

    tree: Path
    environment: dict[str, str]

    def call(self, *command: str | Path, **options) -> str:
        """The output of a command that is to succeed."""
        done = subprocess.run(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    def build(self, *names: str, tree: Path | None = None, **environment: str) -> str:
        images = replace(self, environment=self.environment | environment)
        return images.call((tree or self.tree) / "containers/build", *names)

    def tag(self, name: str) -> str:
        return f"localhost/srctrace/{name}:{VERSION}"

    def inspect(self, name: str) -> dict:
        return json.loads(self.call("podman", "image", "inspect", self.tag(name)))[0]

    def run(self, name: str, code: str) -> str:
        """What Python code prints in an image, as its user: in a build, which works where `podman run` does not."""
        dockerfile = f"FROM {self.tag(name)}\nRUN {json.dumps(['python', '-c', code])}\n"
        return self.call("podman", "build", "--isolation", "chroot", "--no-cache", "-", input=dockerfile)

    @contextmanager
    def root(self, name: str) -> Iterator[Path]:
        """The files of an image."""
        tag = BASE if name == "base" else self.tag(name)
        try:
            yield Path(self.call("podman", "image", "mount", tag).strip())
        finally:
            self.call("podman", "image", "unmount", tag)

    @property
    def pattern(self) -> str:
        """Of the .sif files, for `--config containers=…`."""
        return str(self.tree / "containers/{image}.sif")


@pytest.fixture(scope="session")
def images() -> Iterator[Images]:
    with TemporaryDirectory(prefix="srctrace-images.") as folder:
        require(why_no_containers(folder))
        yield build_images(Path(folder))


def build_images(folder: Path) -> Images:
    tree, storage = folder / "tree", folder / "storage.conf"
    copy_tree(tree)
    # A store of their own: nothing of theirs is left behind, nor a tag of the user's moved.
    storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n')
    environment = {
        "ENGINE": "podman",
        "BASE_IMAGE": BASE,
        "BUILD_FLAGS": "--isolation chroot",
        "TMPDIR": str(folder),
        "CONTAINERS_STORAGE_CONF": str(storage),
    }
    images = Images(tree, os.environ | environment)
    images.call(ROOT / "tests/hpc/base_image", BASE)
    images.build(*IMAGES)
    # A workflow on a machine without a GPU asks for the other one.
    (tree / "containers/model-cpu.sif").symlink_to("model-cuda.sif")
    return images


def copy_tree(folder: Path) -> None:
    """A checkout of its own, of the files as they are."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost", "-C", str(folder)]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=tests"]):
        subprocess.run([*git, *words], check=True)
