# What a job asks for and where it runs: memory, time, GPU, image.

import contextlib
import math
from glob import glob

from snakemake.settings.types import DeploymentMethod

from srctrace import __version__, causes, slurm
from srctrace.placement import usable_gpus
from srctrace.provenance import code_digest

# What the process that a person starts finds holds for its jobs too, wherever these run.
GPUS = int(os.environ.setdefault("SRCTRACE_GPUS", str(len(usable_gpus()))))
ALONE = workflow.is_main_process and workflow.local_exec  # one machine's jobs are all started here
# What a profile says, among its default resources, of jobs on a GPU and of the disks of nodes.
SITE = {
    name: str(resource.raw).strip("'\"")
    for name, resource in (workflow.resource_settings.default_resources or {}).items()
}
GPU_REQUEST = SITE.get("gpu_request", "gpus" if GPUS else "none")  # or gpu:1, gpu:a100:1 and the like: a gres
GPU_PARTITION = SITE.get("gpu_partition", "")
STAGE = SITE.get("stage", "")
ON_GPU = config["device"] == "cuda" or (config["device"] == "auto" and GPU_REQUEST != "none")

# What jobs ask for, in MB and minutes; a retry asks for twice as much of what ran out. In brackets what was measured of
# memory, in MB (benchmarks/results/resources.md); in a job of Slurm's, Snakemake takes 300 beside it.
NEEDS = {
    "table": (1000, 20),  # [180] lists, tables, figures, the page
    "speak": (1000, 60),  # [290]
    "scan": (2000, 20),  # [1200 for a million utterances]
    "decode": (1000, 120),  # [70] written utterance by utterance
    "extract": (1000, 120),  # [160]
    "embed": (4000, 240),
    "cluster": (2000, 480),
    "audit": (2000, 120),  # [150 for 1 200 utterances]
    "fetch": (2000, 1440),  # [80] the time is the download's
    "train": (8000, 480),  # [5150] the paper's AASIST, in batches of 64 with mixup
    "score": (3000, 10),  # [1150]
    "measure": (2000, 10),  # [170] open set and intervals: a second a model of the built-in corpus, minutes of MLAAD
    "pretrain": (4000, 1440),  # [1460]
    # Of XLS-R 300M's size, on a CPU for small corpora only: there it takes half a second for an utterance.
    "ssl train": (12000, 1440),  # weights, gradients, and Adam's two means alone are 5 GB
    "ssl score": (6000, 30 if ON_GPU else 480),
    "ssl extract": (6000, 120 if ON_GPU else 480),
}

# Without a limit, two local jobs with gpu=1 would share one. Of a cluster's jobs, each has a pool of its own; those that
# are grouped into one run in turn, whatever they ask for, so that their times add up, and their memory does not.
workflow.global_resources.setdefault("gpu", max(GPUS, 1) if ALONE else 1)
if not ALONE:
    workflow.global_resources.setdefault("turn", 1)


resource_scopes:
    gpu="local",
    turn="local",


def needs(what, gpu=False, saves=False, group="", share=1):
    """The resources of a rule: those of NEEDS, by name or by a function of the wildcards.

    With `gpu`, a GPU if there is one. `saves`: told to stop, it saves its state. `share`: what its jobs may have of the
    time of the group that they are in; all of a group go to one partition.
    """
    partition = ((gpu or group) and ON_GPU and GPU_PARTITION) or SITE.get("slurm_partition", "")

    def grown(wildcards, attempt, index, cause):
        # What a job ran out of is doubled; without a journal, as in a dry run, both.
        times = min(attempt - 1, JOURNAL.failed_for(dict(wildcards.items()), cause)) if JOURNAL else attempt - 1
        return NEEDS[what(wildcards) if callable(what) else what][index] * 2**times

    def megabytes(wildcards, attempt):
        limit = slurm.limits(partition)[1] if is_slurm() else math.inf
        return int(min(grown(wildcards, attempt, 0, causes.MEMORY), limit))

    def minutes(wildcards, attempt):
        limit = slurm.limits(partition)[0] if is_slurm() else math.inf  # a training goes on at the next attempt
        limit *= share / workflow.group_settings.group_components.get(group, 1)
        return max(1, int(min(grown(wildcards, attempt, 1, causes.TIME), limit)))

    asked = {"mem_mb": megabytes, "runtime": minutes, "gpu": 0} | ({"turn": 1} if group else {})
    if gpu and ON_GPU:
        asked |= {"gres": GPU_REQUEST} if ":" in GPU_REQUEST else {"gpu": 1}
    if partition:
        asked |= {"slurm_partition": partition}
    if saves and not ALONE:  # it is told 120 seconds before its time is up
        asked |= {"slurm_extra": f"{SITE.get('slurm_extra', '')} --signal=TERM@120".strip()}
    return asked


def is_slurm():
    """Whether this process submits to Slurm."""
    return workflow.is_main_process and getattr(workflow.executor_plugin, "name", "") == "slurm"


def image(name):
    """The container image of an environment: `preprocess`, `model` (with CUDA where jobs run on a GPU) or `report`."""
    name = ("model-cuda" if ON_GPU else "model-cpu") if name == "model" else name
    try:
        place = os.path.expanduser(config["containers"].format(image=name, version=__version__))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise WorkflowError(
            f"config: containers: {config['containers']}: knows {{image}} and {{version}}: {error!r}"
        ) from None
    if IN_CONTAINERS and workflow.is_main_process and "://" not in place and not os.path.exists(place):
        raise WorkflowError(f"containers: {place}: no such image: `make containers IMAGES={name}` builds it")
    return place


def bind(paths):
    """Let containers see what lies outside of the working directory, also behind links: Apptainer takes it from the environment."""
    places = {os.path.abspath(path) for path in paths if path and os.path.exists(path)}
    places |= {os.path.realpath(place) for place in places}
    outside = [place for place in sorted(places) if os.path.relpath(place, os.getcwd()).startswith("..")]
    for place in outside:
        if set(place) & set(",:"):
            raise WorkflowError(
                f"{place}: Apptainer cannot bind a path with a comma or a colon: rename it, or link to it"
            )
    given = os.environ.get("APPTAINER_BIND", os.environ.get("SINGULARITY_BIND", "")).split(",")
    given = [place for place in given if os.path.exists(place.partition(":")[0])]  # the submitting machine's may not be
    all_of_them = ",".join(dict.fromkeys([*given, *outside]))
    os.environ.update(APPTAINER_BIND=all_of_them, SINGULARITY_BIND=all_of_them)


IN_CONTAINERS = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
if IN_CONTAINERS:
    with contextlib.suppress(OSError):  # a home that cannot be written to
        os.makedirs(HF_HOME, exist_ok=True)
    bind(
        [
            # Which may be links.
            *("data", "results", *glob("data/*"), *glob("data/checkpoints/*"), *glob("results/*")),
            *(
                CORPUS["path"],
                CORPUS["table"],
                CORPUS["bona_fide"],
                config["split"]["lists"],
                config["speakers"]["lists"],
            ),
            *config["noise"].values(),
            config["speakers"]["model"],
            *(frontend.checkpoint for frontend in SSL.values()),
            HF_HOME,
            os.path.expandvars(STAGE),  # of the machine that the job is on
        ]
    )
    if ON_GPU:
        os.environ.update(APPTAINER_NV="1", SINGULARITY_NV="1")

# Two jobs that each start a thread per core are slower than one; a step that wants threads is told how many. Nothing is
# fetched from the hub but by the rules that are there for it; a container has another home, so its cache is named. What
# is said here is no param of a rule, as a change is no reason to run again.
shell.prefix(
    "set -euo pipefail; export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"
    f" HF_HOME={shlex.quote(HF_HOME)} HF_HUB_OFFLINE=1 WANTED_OFFLINE={shlex.quote(WANTED_OFFLINE)}"
    f" STAGE={shlex.quote(STAGE)}"
    + (f" SRCTRACE_CODE={code_digest()}; unset PYTHONPATH PYTHONHOME; " if IN_CONTAINERS else "; ")
)
