"""A small real run of the whole workflow, made once."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """A folder in which the workflow runs."""

    folder: Path
    config: dict

    def command(self, *arguments: str, config: dict | None = None) -> list[str]:
        """The command line of Snakemake with `config`, or this run's own."""
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump(config or self.config))
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        return [*snakemake, "--cores", "2", "--configfile", str(file), "--directory", str(self.folder), *arguments]

    def snakemake(self, *arguments: str, config: dict | None = None) -> subprocess.CompletedProcess:
        """Run it to its end; the output is in `stdout`."""
        return subprocess.run(
            self.command(*arguments, config=config),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            check=False,
        )

    def copy(self, folder: Path) -> "Run":
        """The same run in another folder, file times kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Run(folder, self.config)

    @property
    def metrics(self) -> bytes:
        return (self.folder / "results" / "metrics.tsv").read_bytes()


def environment() -> dict[str, str]:
    """`srctrace` is found beside the Python that runs the tests."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def small_config() -> dict:
    """Two languages, one system, one epoch, no unknown sources."""
    config = yaml.safe_load((ROOT / "config" / "tiny.yaml").read_text())
    config["systems"] = ["lfcc-resnet18"]
    config["corpus"]["out_of_set"] = []
    config["protocols"] = ["mono"]
    config["corpus"]["path"] = "data/tiny"
    return config


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Run:
    """A run that has ended. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("finished")
    run = Run(folder, small_config())
    done = run.snakemake()
    assert done.returncode == 0, done.stdout[-5000:]
    return run


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to be broken."""
    return finished.copy(tmp_path / "run")
