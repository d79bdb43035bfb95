"""The container images: small, safe, quick to build again; and what runs in them makes the same numbers."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.hpc import slurm_cluster
from tests.hpc.clone import MODEL, fresh, run_here
from tests.hpc.conftest import IMAGES, VERSION, Images, require

pytestmark = [pytest.mark.hpc, pytest.mark.timeout(1500)]

# What useradd and the engine write.
ANYWAY = {"etc/hosts", *(f"etc/{name}-" for name in ("group", "gshadow", "passwd", "shadow", "subgid", "subuid"))}


@pytest.fixture
def tree(images: Images, tmp_path) -> Path:
    """A copy of what the images were made of, to be changed."""
    return shutil.copytree(
        images.tree, tmp_path / "tree", symlinks=True, ignore=shutil.ignore_patterns("*.sif", "*.sif.id")
    )


@pytest.mark.parametrize("name", IMAGES)
def test_labels_say_what_an_image_is(images: Images, name):
    revision = images.call("git", "rev-parse", "HEAD", cwd=images.tree).strip()
    wanted = {"version": VERSION, "revision": revision, "source": "https://github.com/srctrace/srctrace"}
    labels = {key: value for key, value in images.inspect(name)["Labels"].items() if "opencontainers" in key}
    assert wanted.items() <= {key.rpartition(".")[2]: value for key, value in labels.items()}.items()
    of_the_file = images.call("apptainer", "inspect", images.pattern.format(image=name))
    assert {f"{key}: {value}" for key, value in labels.items()} <= set(of_the_file.splitlines())


@pytest.mark.parametrize("name", IMAGES)
def test_an_ordinary_user_works_in_it_and_can_change_nothing(images: Images, name):
    assert images.inspect(name)["Config"]["User"] == "srctrace"
    output = images.run(
        name,
        """
import os, subprocess, sys
os.environ |= {"HOME": "/nowhere", "LANG": "en_GB.UTF-8"}  # which is not there
assert os.getuid() != 0
assert not any(os.access(path, os.W_OK) for path in ("/", "/opt", "/opt/venv", *sys.path[1:]))
subprocess.run(["srctrace", "--version"], check=True)
subprocess.run([sys.executable, "-c", "import sys; print('user site', sys.flags.no_user_site, 'ó')"], check=True)
""",
    )
    assert {f"srctrace {VERSION}", "user site 1 ó"} <= set(output.splitlines())


@pytest.mark.parametrize("name", IMAGES)
def test_no_compiler_or_cache_is_left_in_it(images: Images, name):
    with images.root("base") as base, images.root(name) as root:
        here, before = (
            {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} for folder in (root, base)
        )
    assert not {path.rpartition("/")[2] for path in here} & {"gcc", "g++", "cc1plus", "ld", "nvcc", "cicc"}
    assert {path for path in here - before if not path.startswith(("opt/", "home/srctrace/"))} <= ANYWAY


def test_the_model_image_has_the_gpu_extension(images: Images):
    images.run("model-cuda", "from srctrace import _cuda, gpu; gpu.why_not()")


def test_a_second_build_does_nothing(images: Images):
    def files():
        return {name: Path(images.pattern.format(image=name)).stat() for name in IMAGES}

    before = files()
    images.build(*IMAGES)
    assert files() == before


def test_numbers_are_those_of_the_environment(images: Images, tmp_path):
    """Where there is no `srctrace` but in the images, the workflow makes the same table, byte for byte."""
    options = ["--cores", "all", "--snakefile", images.tree / "Snakefile", "--show-failed-logs", "--quiet", "rules"]
    options += ["--configfile", images.tree / "config/tiny.yaml"]
    config = ["--config", "systems=[lfcc-ecapa-tdnn]", "device=cpu"]
    system = f"{Path(shutil.which('apptainer')).parent}:/usr/bin:/bin"
    assert not shutil.which("srctrace", path=system)
    tables = []
    for name, path, more in (
        ("plain", f"{Path(sys.executable).parent}:{system}", []),
        ("contained", system, [f"containers={images.pattern}", "--use-singularity"]),
    ):
        command = [sys.executable, "-m", "snakemake", *options, "--directory", tmp_path / name, *config, *more]
        own = replace(images, environment=images.environment | {"PATH": path, "PYTHONPATH": str(images.tree)})
        own.call(*command, cwd=images.tree)
        assert (tmp_path / name / "results/report.html").exists()
        tables.append((tmp_path / name / "results/metrics.tsv").read_bytes())
    assert tables[0] == tables[1]
    assert tables[0].count(b"\n") > 20


def test_changed_code_makes_one_layer_anew(images: Images, tree):
    before = images.inspect("report")
    (tree / "srctrace/files.py").open("a").write("# changed\n")
    images.build("report", tree=tree)
    after = images.inspect("report")
    images.call("podman", "tag", before["Id"], images.tag("report"))
    assert before["RootFS"]["Layers"][:-1] == after["RootFS"]["Layers"][:-1]
    assert before["RootFS"]["Layers"][-1] != after["RootFS"]["Layers"][-1]
    assert after["Labels"]["org.opencontainers.image.revision"].endswith("-dirty")


def test_torch_for_processors_is_that_of_its_own_index(images: Images, tree, tmp_path):
    """With an index of an empty torch, as the real one cannot be reached from everywhere."""
    version = re.search("TORCH_VERSION=(.*)", (tree / "containers/model-cpu.Dockerfile").read_text()).group(1)
    folder, wheel = tmp_path / "index/torch", f"torch-{version}-py3-none-any.whl"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    with ZipFile(folder / wheel, "w") as file:
        file.writestr("torch/__init__.py", "")
        for name, text in {
            "METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }.items():
            file.writestr(f"torch-{version}.dist-info/{name}", text)
    flags = f"{images.environment['BUILD_FLAGS']} --volume {folder.parent}:/index:ro"
    images.build("model-cpu", tree=tree, BUILD_FLAGS=flags, TORCH_INDEX="file:///index")
    images.run("model-cpu", "import torch, transformers, sympy, srctrace.augment")
    assert (tree / "containers/model-cpu.sif").exists()


def test_jobs_of_slurm_s_run_in_them_too(images: Images, tmp_path, tmp_path_factory, monkeypatch):
    """With data on another disk, where containers see it without a word from the user."""
    require(slurm_cluster.why_not())
    for name, value in images.environment.items():
        monkeypatch.setenv(name, value)
    with slurm_cluster.SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        clone = fresh(tmp_path / "site", cluster)
        clone.configure(epochs=1)
        (tmp_path / "disk").mkdir()
        (clone.folder / "data").symlink_to(tmp_path / "disk")
        clone.run("--use-singularity", "--config", f"containers={images.pattern}")
    made_with = json.loads((clone.folder / MODEL).read_text())["provenance"]["versions"]
    assert "torch" in made_with
    assert "snakemake" not in made_with  # which is outside of the images
    run_here(tmp_path / "here", clone.folder / "small.yaml")
    assert clone.metrics == (tmp_path / "here/results/metrics.tsv").read_bytes()
