# The config, checked and completed; the grid; what every rule shares.

import fcntl
import glob
import json
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from srctrace import config as srctrace_config
from srctrace import grid
from srctrace.report.names import figure_names

try:
    config = srctrace_config.complete(config, workflow.source_path("../schemas/config.schema.yaml"))
except grid.ConfigError as error:
    raise WorkflowError(f"config: {error}") from None

CORPUS = config["corpus"]
LANGUAGES = CORPUS["languages"]
MODELS = grid.models(config)
GPUS = 0 if config["device"] == "cpu" else len(glob.glob("/dev/nvidia[0-9]*"))

# `resources: gpu=1` alone would not keep two local jobs off one GPU.
workflow.global_resources.setdefault("gpu", max(GPUS, 1))

# Two jobs that each start a thread per core are slower than one; a step that wants threads is told how many.
shell.prefix("set -euo pipefail; export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1; ")


wildcard_constraints:
    corpus=CORPUS["name"],
    language="|".join(LANGUAGES),
    protocol="|".join(config["protocols"]),
    system="|".join(config["systems"]),
    train=r"[A-Za-z0-9._-]+",
    test=r"[A-Za-z0-9._-]+",
    seed=r"\d+",


def flags(options):
    """A section of the config as command-line flags: {"n_fft": 320, "center": False} is `--n-fft 320 --no-center`."""
    words = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            words += [f"--{flag}", *map(str, value)]
        elif value is not None:
            words += [f"--{flag}", str(value)]
    return " ".join(words)


def conditions(protocol):
    """Names of a protocol's conditions."""
    return list(grid.conditions(config, protocol))


def of_every_model(name):
    """The file `name` of every model of the run."""
    return [f"results/{CORPUS['name']}/{model.folder}/{name}" for model in MODELS]


RUN_LOCK = None


def take_run_lock():
    """Refuse a second run in this folder. The kernel drops this lock with the process, however that ends, while
    Snakemake's own lock outlives a killed run."""
    global RUN_LOCK
    RUN_LOCK = open(".snakemake/srctrace.lock", "w")
    try:
        fcntl.flock(RUN_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"another run is at work in {os.getcwd()}: wait for it to end, or use another folder"
        ) from None


onstart:
    take_run_lock()
