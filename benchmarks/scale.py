"""What large corpora take: `python -m benchmarks.scale`, from an activated environment. Nothing is kept.

`scan`: from a table of 1 000 000 utterances, also with split lists for all of them, from a folder of 200 000 and from a
tree of MLAAD of 100 000 (files are empty: they are not opened), each to a manifest, checked and dealt to splits.
Every step is a process of its own, as in the workflow; its memory is the largest it held at once.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LANGUAGES = ("de", "en", "fr", "it", "pl", "ru")
SYSTEMS = 10
FOLDER, TREE = 200_000, 100_000

SPLIT = """
import sys
from srctrace.manifest import read_manifest, read_sources
from srctrace.protocol import COLUMNS, SplitOptions, assign, refuse_leaks
from srctrace.tables import write_table

rows = assign(read_manifest(sys.argv[1]), read_sources(sys.argv[2])[0], SplitOptions(unseen_speakers=0))
refuse_leaks(rows, sys.argv[1])
write_table(sys.argv[3], COLUMNS, rows)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1_000_000, help="of the table")
    count = parser.parse_args().utterances
    print(f"{'corpus':24} {'step':6} {'utterances':>10} {'seconds':>8} {'MiB':>6}")
    with tempfile.TemporaryDirectory() as folder:
        scan(Path(folder), count)


def scan(home: Path, count: int) -> None:
    table, lists = home / "utterances.tsv", home / "lists"
    write_table(table, lists, count)
    measure(home, "table", count, "--type", "table", "--tables", table)
    measure(home, "table with lists", count, "--type", "table", "--tables", table, "--split-lists", lists)
    write_tree(home / "folder", FOLDER, meta=False)
    measure(home, "folder", FOLDER, "--type", "folder", "--root", home / "folder" / "fake")
    write_tree(home / "mlaad", TREE, meta=True)
    measure(home, "mlaad", TREE, "--type", "mlaad", "--root", home / "mlaad")


def utterances(count: int) -> Iterator[tuple[str, str, str]]:
    """Language, system and name, as MLAAD's."""
    for number in range(count):
        language = LANGUAGES[number % len(LANGUAGES)]
        system = number // len(LANGUAGES) % SYSTEMS
        yield language, f"tts_models_multilingual_multi-dataset_system{system}", f"wives_and_daughters_{number:07d}"


def write_table(table: Path, lists: Path, count: int) -> None:
    lists.mkdir()
    splits = ("train", "train", "train", "dev", "eval")
    files = {split: (lists / f"{split}.csv").open("w") for split in splits}
    for file in files.values():
        file.write("path,model_name\n")
    with table.open("w") as rows:
        rows.write("path\tlanguage\tsource\tsentence\n")
        for number, (language, system, name) in enumerate(utterances(count)):
            path = f"fake/{language}/{system}/{name}.wav"
            rows.write(f"{path}\t{language}\t{system}\tsentence{number % 100003}\n")
            files[splits[number // 60 % 5]].write(f"{path},{system}\n")
    for file in files.values():
        file.close()


def write_tree(root: Path, count: int, meta: bool) -> None:
    lines: dict[str, list[str]] = {}
    for language, system, name in utterances(count):
        folder = f"{root}/fake/{language}/{system}"
        if folder not in lines:
            os.makedirs(folder)
            lines[folder] = ["path|original_file|language|model_name|transcript"]
        os.close(os.open(f"{folder}/{name}.wav", os.O_CREAT | os.O_WRONLY))
        lines[folder].append(
            f"./fake/{language}/{system}/{name}.wav|by_book/{name}.wav|{language}|{system}|It is {name}"
        )
    for folder in lines if meta else ():
        Path(folder, "meta.csv").write_text("\n".join(lines[folder]) + "\n")


def measure(home: Path, name: str, count: int, *corpus: object) -> None:
    """Scan and split, and print what they took."""
    manifest, sources = home / "manifest.tsv", home / "sources.tsv"
    steps = {
        "scan": [
            "-m",
            "srctrace",
            "scan",
            *corpus,
            "--languages",
            *LANGUAGES,
            "--out",
            manifest,
            "--label-map",
            sources,
        ],
        "split": ["-c", SPLIT, manifest, sources, home / "split.tsv"],
    }
    if "--split-lists" in corpus:
        steps.pop("split")  # there is nothing to deal
    for step, arguments in steps.items():
        before = time.monotonic()
        process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{name}: {step} failed: {said[-2000:]}")
        seconds = time.monotonic() - before
        print(f"{name:24} {step:6} {count:10} {seconds:8.1f} {usage.ru_maxrss / 1024:6.0f}", flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
