"""Manifests of large corpora: scanned, checked and dealt to splits.

Files are empty: they are not opened.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.scale.step import run

ROOT = Path(__file__).parents[2]
LANGUAGES = ("de", "en", "fr", "it", "pl", "ru")
SYSTEMS = 10
TABLE, FOLDER, TREE = 1_000_000, 200_000, 100_000


def scan(home: Path) -> list[str]:
    table, lists = home / "utterances.tsv", home / "lists"
    write_table(table, lists, TABLE)
    lines = ["## Manifests", "", "| corpus | step | utterances | s | MiB |", "| --- | --- | ---: | ---: | ---: |"]
    lines += measure(home, "table", TABLE, "--type", "table", "--tables", table)
    lines += measure(home, "table with lists", TABLE, "--type", "table", "--tables", table, "--split-lists", lists)
    write_tree(home / "folder", FOLDER, meta=False)
    lines += measure(home, "folder", FOLDER, "--type", "folder", "--root", home / "folder" / "fake")
    write_tree(home / "mlaad", TREE, meta=True)
    return [*lines, *measure(home, "MLAAD tree", TREE, "--type", "mlaad", "--root", home / "mlaad")]


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


def measure(home: Path, name: str, count: int, *corpus: object) -> Iterator[str]:
    """Lines of the table: scan and split."""
    manifest, sources, waves = home / "manifest.tsv", home / "sources.tsv", home / "waves.tsv"
    languages = ["--languages", *LANGUAGES]
    scanned = ["-m", "srctrace", "scan", *corpus, *languages, "--out", manifest, "--label-map", sources]
    taken = run(*scanned, cwd=ROOT)
    yield f"| {name} | scan | {count:,} | {taken.seconds:.1f} | {taken.peak:.0f} |".replace(",", " ")
    with waves.open("w") as index, manifest.open() as rows:  # as if each file had been decoded
        index.write("utterance\tdigest\n")
        index.writelines(f"{line.partition(chr(9))[0]}\t{number:016x}\n" for number, line in enumerate(rows) if number)
    origin = ["--origin", "given"] if "--split-lists" in corpus else ["--unseen-speakers", "0"]
    split = ["-m", "srctrace", "split", "--manifest", manifest, "--waves", waves, "--sources", sources, *origin]
    taken = run(*split, "--out", home / "split.tsv", cwd=ROOT)
    yield f"| {name} | split | {count:,} | {taken.seconds:.1f} | {taken.peak:.0f} |".replace(",", " ")
