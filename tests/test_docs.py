"""The docs: generated pages are up to date, links lead somewhere, configs are valid, and commands and programs run.

`sh` and `python` blocks are run, in the order of the page; a block that does not say what it is is `sh`. A `yaml` block
is checked against the schema, and a `diff` block changes the code that follows it on the page is run with; a block
whose first line is a comment with a file's name is written to that file. `text` is what is printed, or a form.

Where: in a copy of the checkout in which the tiny run (config/tiny.yaml) has been made, as the tutorial makes it. Each
page has a copy of its own. In it,

- config.yaml is config/tiny.yaml, so that `snakemake --cores all` finds all made, and
- paths of the default run stand for those of the tiny one: in commands and programs, `results/builtin` is replaced by
  `results/tiny` and `data/builtin/speech` by `data/tiny/speech`. Nothing else is replaced.

`PLANNED` are commands of Snakemake that would take too long: they get `--dry-run`. `NOT_RUN` are those that cannot run
there, and where they are tested instead. An entry of these two that is in no page fails.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from srctrace.cli import COMMANDS
from srctrace.config import complete

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
KINDS = {"sh", "", "python", "yaml", "diff", "text", "bibtex"}
STANDS_FOR = {"results/builtin": "results/tiny", "data/builtin/speech": "data/tiny/speech"}
STEP_SECONDS = 600  # the most that one command may take: the tiny run is a minute where nothing else runs
SHELL = ("bash", "-eo", "pipefail", "-c")

PLANNED = {
    r"-R decode": "decodes, and makes all that follows, again: a minute for nothing new",
    r"--configfile mine": "a folder is run in tests/workflow/test_workflow.py, a table in tests/corpora",
    r"--configfile config/open-set\.yaml": "a quarter of an hour or more",
}
NOT_RUN = {
    r"^git clone|^cd srctrace": "the copy is the clone",
    r"^make demo": "ten minutes: benchmarks/demo.py; its rules run in tests/workflow",
    r"^make test": "the tests themselves",
    r"^make containers": "images: tests/test_containers.py, tests/hpc",
    r"^make \.venv|^source \.venv|^pip install": "the environment that the tests run in",
    r"^srctrace download|^snakemake .*download_": "the internet: tests/download, tests/workflow/test_download_rules.py",
    r"^wget|^for part in|^hf download|^rsync": "the internet, by hand: what comes is laid out as in tests/download",
    r"fetch[-_]weights": "the internet: tests/frontends/test_weights.py",
    r"--profile slurm": "a Slurm cluster: tests/hpc",
    r"--executor cluster-generic": "another batch system: tests/workflow/test_executors.py",
    r"--use-singularity|^scp": "Apptainer and images: tests/hpc",
    r"^srctrace push|OWNER/NAME": "the hub: tests/sharing/test_hub.py",
    r"^srctrace (export MODEL|trace FILE)": "a form, with names in capitals: tests/sharing, tests/tracing",
    r"onnx/backend\.onnx": "a file that --onnx wrote: tests/sharing/test_onnx.py",
    r"^srctrace serve|^curl": "a server, which does not end by itself: tests/serving",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    text: str

    @property
    def file(self) -> str:
        """The file that it is to be, if it says so."""
        found = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return found[1] if found else ""

    @property
    def steps(self) -> list[str]:
        """Commands, or the program."""
        if self.kind == "python":
            return [] if self.file else [self.text]
        if self.kind not in ("sh", ""):
            return []
        commands: list[str] = []
        for line in self.text.replace("\\\n", " ").splitlines():
            if commands and commands[-1].startswith("for ") and not commands[-1].endswith("done"):
                commands[-1] += f"\n{line}"
            elif line and not line.startswith("#"):
                commands.append(line)
        return commands


def blocks_of(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(kind, text) for kind, text in found]


def why_not_run(step: str) -> str:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, step)), "")


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@pytest.mark.parametrize("name", ["config.md", "commands.md"])
def test_generated_pages_are_up_to_date(name):
    assert (ROOT / "docs" / name).read_text() == generator().PAGES[name](), "run `make docs`"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_the_index_has_every_page():
    listed = set(LINK.findall((ROOT / "docs" / "README.md").read_text()))
    assert {page.name for page in PAGES if page.name != "README.md"} <= listed


@every_page
def test_what_is_named_exists(page):
    text = page.read_text("utf-8")
    targets = re.findall(r"^\.?([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`srctrace ([a-z][\w-]*)", text)) <= {*COMMANDS}
    assert set(re.findall(r"`make ([a-z][\w-]*)", text)) <= {*targets}
    made = {block.file for block in blocks_of(page)}
    for path in re.findall(r"`((?:srctrace|workflow|config|tests|benchmarks|csrc|docs)/[\w./-]+)`", text):
        assert path in made or (ROOT / path).exists(), path


@every_page
def test_every_block_is_of_a_known_kind(page):
    assert {block.kind for block in blocks_of(page)} <= KINDS


@every_page
def test_configs_are_valid(page):
    """A piece of a config is checked as a change of config/tiny.yaml; where the page changes the schema, by running."""
    if any(block.kind == "diff" for block in blocks_of(page)):
        return
    base = yaml.safe_load((ROOT / "config" / "tiny.yaml").read_text())
    keys = yaml.safe_load(SCHEMA.read_text())["properties"]
    for block in blocks_of(page):
        config = yaml.safe_load(block.text) if block.kind == "yaml" else {}
        if "corpus" in config:
            complete(config, SCHEMA)
        elif set(config) <= set(keys):
            complete(base | config, SCHEMA)


@pytest.mark.parametrize("table", [PLANNED, NOT_RUN], ids=["PLANNED", "NOT_RUN"])
def test_every_entry_is_of_a_command(table):
    steps = [step for page in PAGES for block in blocks_of(page) for step in block.steps]
    assert [pattern for pattern in table if not any(re.search(pattern, step) for step in steps)] == []


# What follows runs them.


def environment(folder: Path) -> dict[str, str]:
    """Commands and modules are those of the copy, on the Python that runs the tests."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}  # a page runs pytest
    return own | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "HF_HUB_OFFLINE": "1",
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The copy, with the tiny run. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("docs") / "srctrace"
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if not os.path.lexists(ROOT / name):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for extension in (ROOT / "srctrace").glob("_*.so"):
        (folder / "srctrace" / extension.name).symlink_to(extension)
    shutil.copy2(folder / "config" / "tiny.yaml", folder / "config.yaml")
    run("snakemake --cores all --configfile config/tiny.yaml", folder)
    return folder


def copy_of(finished: Path, folder: Path) -> Path:
    """Another copy, in which large files are links: nothing writes into them."""

    def copy(source: str, target: str) -> None:
        if source.endswith((".npy", ".wav")):
            os.link(source, target)
        else:
            shutil.copy2(source, target, follow_symlinks=False)

    return shutil.copytree(finished, folder, symlinks=True, copy_function=copy)


def run(step: str, folder: Path, program: Sequence[str] = SHELL) -> None:
    with subprocess.Popen(
        [*program, step],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=STEP_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # Snakemake's jobs too
            raise
    assert process.returncode == 0, f"{step}\nends with status {process.returncode}:\n{printed[-5000:]}"


def as_it_is_there(text: str) -> str:
    for documented, there in STANDS_FOR.items():
        text = re.sub(rf"{documented}\b", there, text)
    return text


def apply(diff: str, folder: Path) -> None:
    """Each hunk changes one place, which is found by its text."""
    file, *hunks = re.split(r"^@@.*\n", diff, flags=re.MULTILINE)
    path = folder / re.search(r"^\+\+\+ b/(.+)$", file, re.MULTILINE)[1]
    text = path.read_text("utf-8")
    for hunk in hunks:
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"{path} has not once:\n{before}"
        text = text.replace(before, after)
    path.write_text(text, "utf-8")


RUN = [page for page in PAGES if any(not why_not_run(step) for block in blocks_of(page) for step in block.steps)]


@pytest.mark.docs
@pytest.mark.timeout(3 * STEP_SECONDS)  # the first makes the tiny run
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_commands_and_programs_run(page, finished, tmp_path):
    folder = copy_of(finished, tmp_path / "srctrace")
    for block in blocks_of(page):
        if block.kind == "diff":
            apply(block.text, folder)
        elif block.file:
            (folder / block.file).write_text(as_it_is_there(block.text), "utf-8")
        for step in block.steps:
            if why_not_run(step):
                continue
            planned = any(re.search(pattern, step) for pattern in PLANNED)
            command = step.replace("snakemake", "snakemake --dry-run", 1) if planned else step
            run(as_it_is_there(command), folder, (sys.executable, "-c") if block.kind == "python" else SHELL)
