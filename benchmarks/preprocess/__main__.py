"""The preprocessing extension against other ways to the same features: `make bench`.

Prints tables and writes `benchmarks/results/preprocess.md` with two plots. Every comparison is made within one run, in
turns. One thread everywhere but where threads are counted; memory is not given back to the system between calls (which
helps torchaudio most). With `--quick`, fewer rounds, for a look, and nothing is written.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from benchmarks.preprocess import augmentation, features, files, memory
from benchmarks.preprocess.work import Work
from srctrace import provenance

RESULTS = Path(__file__).parents[1] / "results"
TUNED = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000", "OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", choices=["lfcc", "memory"], help="print one part as JSON: this script calls itself")
    arguments = parser.parse_args()
    if not TUNED.items() <= os.environ.items():  # they are read when a process starts
        sys.exit("run `make bench`: it sets " + " ".join(f"{name}={value}" for name, value in TUNED.items()))
    plt.switch_backend("svg")
    torch.set_num_threads(1)
    rounds = 5 if arguments.quick else 25
    if arguments.only == "lfcc":
        print(json.dumps(features.lfcc_alone(rounds)))
        return
    if arguments.only == "memory":
        print(json.dumps(memory.peaks(400 if arguments.quick else 3200)))
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), Path(folder) if arguments.quick else RESULTS)
        lines = [
            *heading(),
            *features.by_instruction_set(arguments.quick),
            *augmentation.mixing(work, rounds),
            *augmentation.reverb(work, rounds),
            *augmentation.five_variants(work, rounds),
            *files.from_files(work, max(3, rounds // 3)),
            *files.stages(work, rounds),
            *features.inside_lfcc(),
            *augmentation.thread_scaling(work, rounds),
            *features.batch_scaling(work, rounds),
            *memory.memory(arguments.quick),
        ]
    text = "\n".join(lines) + "\n"
    if not arguments.quick:
        (RESULTS / "preprocess.md").write_text(text)
    print(text)


def heading() -> list[str]:
    machine = provenance.machine()
    versions = provenance.versions()
    return [
        "# Preprocessing",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; torch {versions['torch']}, NumPy "
        f"{versions['numpy']}, SciPy {versions['scipy']}. By `make bench`, at {provenance.git_commit()[:12]}.",
        "",
        "Utterances of 4 s at 16 kHz. Times are medians over rounds in which the rivals take turns, on one thread; "
        "the spread is half of the interquartile range. Memory is not given back to the system between calls. Noise "
        "files are as long as MUSAN's are on average: noise 23 s, music 232 s, speech 510 s.",
    ]


if __name__ == "__main__":
    main()
