# The config, checked and completed; the grid; what every rule shares.

import json
import os
import re
import shlex
from pathlib import Path

from snakemake.exceptions import WorkflowError

from srctrace import config as srctrace_config
from srctrace import grid
from srctrace.frontends import catalogue
from srctrace.report.names import OPEN_SET_KINDS, PROTOCOL_KINDS, SYSTEM_KINDS, figure_names, opened

try:
    config = srctrace_config.complete(config, workflow.source_path("../schemas/config.schema.yaml"))
except grid.ConfigError as error:
    raise WorkflowError(f"config: {error}") from None

CORPUS = config["corpus"]
LANGUAGES = CORPUS["languages"]
CONDITIONS = grid.conditions(config)
CELLS = grid.cells(config)
MODELS = grid.models(config)
TESTS = grid.tests(config)
SSL = grid.ssl_frontends(config)
FROZEN = [name for name, frontend in SSL.items() if frontend.mode == grid.FROZEN]
BATCH_SECONDS = str(config["ssl"]["batch_seconds"])  # a resource, no param: another value changes no result

MANIFEST = f"results/{CORPUS['name']}/manifest.tsv"
SCANNED = MANIFEST.replace("manifest", "scanned") if config["speakers"]["from"] == "clusters" else MANIFEST
WAVES = f"results/{CORPUS['name']}/waves"
FEATURES = f"results/{CORPUS['name']}/features"
CHECKPOINTS = "results/checkpoints"
# Folders of checkpoints that rules make.
MADE_HERE = re.compile(rf"data/checkpoints/tiny-[^/]+|results/{re.escape(CORPUS['name'])}/(pretrained|untrained)")
SPLITS = f"results/{CORPUS['name']}/splits"
MODEL = f"results/{CORPUS['name']}/models/{{system}}/{{train}}/seed{{seed}}"
LABELS = f"results/{CORPUS['name']}/sources.tsv"

for frontend in SSL.values():
    place = frontend.checkpoint
    if not (catalogue.is_hub_name(place) or os.path.isdir(place) or MADE_HERE.fullmatch(place)):
        raise WorkflowError(
            f"config: frontends.{frontend.name}: {place}: no such folder: name yours, or OWNER/NAME of the hub"
        )


# The hub's cache, and whether a person wants it alone: all jobs are offline but those that fetch weights.
CACHES = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
HF_HOME = os.environ.get("HF_HOME") or f"{CACHES}/huggingface"
WANTED_OFFLINE = os.environ.get("HF_HUB_OFFLINE") or "0"


wildcard_constraints:
    language="|".join(LANGUAGES),
    protocol="|".join(config["protocols"]),
    system="|".join(map(re.escape, config["systems"])),
    train="|".join(map(re.escape, TESTS)),
    test="|".join(map(re.escape, CONDITIONS)),
    seed=r"\d+",
    frontend="|".join(map(re.escape, SSL)) or "none",


def flags(options):
    """A section of the config as command-line flags, quoted for the shell: {"n_fft": 320, "center": False} is `--n-fft 320 --no-center`."""
    words = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            words += [f"--{flag}", *map(str, value)]
        elif value is not None:
            words += [f"--{flag}", str(value)]
    return shlex.join(words)


def parent_of_output(wildcards, output):
    """The folder that a rule's outputs are in."""
    return str(Path(output[0]).parent)


def of_every_model(name):
    """The file `name` of every model of the run."""
    return [f"results/{CORPUS['name']}/models/{model.folder}/{name}" for model in MODELS]


def languages_of(conditions):
    """The languages of some conditions."""
    return [name for name in LANGUAGES if any(name in CONDITIONS[condition].languages for condition in conditions)]


def inputs_of(system, train, languages, suffixes):
    """What models of a system and a train condition are given: their feature stores, or waveforms and noise."""
    frontend = grid.frontend_of(config, system, CONDITIONS[train])
    if frontend and frontend.mode == grid.FINE_TUNED:
        stores = expand(f"{WAVES}/{{language}}{{suffix}}", language=languages, suffix=set(suffixes) & {".npy", ".tsv"})
        return [*sorted(stores), "results/noise/bank.npy", "results/noise/bank.tsv"]
    name = frontend.name if frontend else grid.LFCC
    return expand(f"{FEATURES}/{name}/{{language}}{{suffix}}", language=languages, suffix=suffixes)


def input_flags(system, train):
    """The same as flags."""
    frontend = grid.frontend_of(config, system, CONDITIONS[train])
    if frontend and frontend.mode == grid.FINE_TUNED:
        return f"--waves {WAVES} --bank results/noise/bank.npy --noise-seed {config['protocol_seed']}"
    return f"--features {FEATURES}/{frontend.name if frontend else grid.LFCC}"


def checkpoint_of(system, train):
    """The checkpoint that a model begins with, if its front-end is trained too."""
    frontend = grid.frontend_of(config, system, CONDITIONS[train])
    return f"{CHECKPOINTS}/{frontend.name}.json" if frontend and frontend.mode == grid.FINE_TUNED else None


def checkpoint_flags(system, train):
    """The same as flags, with the layers that are used."""
    path = checkpoint_of(system, train)
    frontend = grid.frontend_of(config, system, CONDITIONS[train])
    return flags(
        {"checkpoint": path, "layers": frontend.layers, "precision": config["ssl"]["precision"]} if path else {}
    )


def folder_of(frontend):
    """The folder of a front-end's checkpoint, which another rule may make; none if it comes from the hub."""
    place = SSL[frontend].checkpoint
    return [] if catalogue.is_hub_name(place) else place


def folder_state(frontend):
    """What changes when a user's folder does: it is pinned, and all that depends on it made, again."""
    place = SSL[frontend].checkpoint
    theirs = not catalogue.is_hub_name(place) and not MADE_HERE.fullmatch(place)
    return srctrace_config.fingerprint(place, [""]) if theirs else None


def is_fine_tuned(wildcards):
    """Whether a model has an SSL model in it: memory and time are another matter."""
    return checkpoint_of(wildcards.system, wildcards.train) is not None


def splits_of(conditions):
    """The split lists of some conditions."""
    return [f"{SPLITS}/{name}.tsv" for name in conditions]


def sizes_of(wildcards):
    """The sizes of a system's back-end, as NAME=VALUE."""
    sizes = config["backends"].get(grid.split_system(wildcards.system)[1], {})
    return [f"{name}={json.dumps(value, separators=(',', ':'))}" for name, value in sizes.items()]


def corpus_state():
    """What changes when the folder of a corpus, or of real speech, does: it is scanned, and decoded, again."""
    real = [srctrace_config.fingerprint(CORPUS["bona_fide"], [""])] if CORPUS["bona_fide"] else []
    return [folder_of_corpus_state(), *real] if real else folder_of_corpus_state()


def folder_of_corpus_state():
    """The same of the corpus alone."""
    if CORPUS["type"] == "mcl-mlaad":
        return srctrace_config.fingerprint(CORPUS["path"], [""])
    if CORPUS["type"] == "mlaad":
        below = "fake" if os.path.isdir(f"{CORPUS['path']}/fake") else ""
        return srctrace_config.fingerprint(f"{CORPUS['path']}/{below}", LANGUAGES)
    return srctrace_config.fingerprint(CORPUS["path"], LANGUAGES) if CORPUS["type"] == "folder" else None


def noise_inputs():
    """The user's MUSAN and impulse responses, or the built-in ones; and the list of what is in these."""
    folders = {kind: there(kind) if config["noise"][kind] else f"data/builtin/{kind}" for kind in ("musan", "rirs")}
    return folders if any(config["noise"].values()) else {**folders, "listing": "data/builtin/noise.tsv"}


def there(kind):
    """A folder of noise that the config names; where there is none, Snakemake would not say how to come by it."""

    def find(wildcards):
        folder = config["noise"][kind]
        if not os.path.isdir(folder):
            get = f"srctrace download {kind} --to {shlex.quote(folder)}"
            raise WorkflowError(f"noise.{kind}: {folder}: no such folder: set it to yours, or fetch it with `{get}`")
        return folder

    return find


CAPTIONS = {"heatmap-clean": "heatmap", "heatmap-all": "heatmap"}  # figure kind to caption; else of the same name

REPORT_INPUTS = {
    **{table: f"results/{table}.tsv" for table in ("metrics", "classes", "confusion", "summary")},
    "config": "results/config.json",
    "manifest": MANIFEST,
    **({"speakers": f"results/{CORPUS['name']}/speakers/quality.tsv"} if SCANNED != MANIFEST else {}),
    "checkpoints": [f"{CHECKPOINTS}/{name}.json" for name in SSL],
    "histories": of_every_model("history.tsv"),
    "baselines": [f"results/{CORPUS['name']}/audit/{name}/baselines.tsv" for name in grid.tested_protocols(config)],
    "findings": [f"results/{CORPUS['name']}/audit/{name}/findings.tsv" for name in grid.tested_protocols(config)],
    "differences": [
        f"results/{CORPUS['name']}/audit/{name}/differences.tsv"
        for name in grid.tested_protocols(config)
        if grid.compares(config)
    ],
    "splits": splits_of(CONDITIONS),
    **{
        table: f"results/{table}.tsv"
        for table in ("openset", "detection", "fewshot")
        if grid.OUT_OF_SET in config["protocols"]
    },
    **{table: f"results/{table}.tsv" for table in ("calibration", "reliability")},
    **{shown: f"results/{shown}.json" for shown in ("examples", "projection")},
}


def report_flags(wildcards, input):
    """All that a report shows, as flags."""
    return flags(
        {
            name: list(map(str, input[name])) if isinstance(paths, list) else input[name]
            for name, paths in REPORT_INPUTS.items()
        }
    )


def illustrated(wildcards):
    """What single trials and embeddings are shown of: models of the first seed."""
    shown = {"seed": config["seeds"][0]}
    scores = [
        f"{MODEL}/scores/{cell.test.name}.tsv".format(system=system, train=cell.train.name, **shown)
        for cell in opened(config)
        for system in config["systems"]
    ]
    embeddings = [
        f"{MODEL}/embeddings".format(system=system, train=CELLS[0].train.name, **shown) for system in config["systems"]
    ]
    stores = [*embeddings, *(f"{WAVES}/{language}" for language in LANGUAGES)]
    return [*dict.fromkeys(scores), *(f"{store}{suffix}" for store in stores for suffix in (".npy", ".tsv"))]


def figure(name):
    """A declared figure, with its place in Snakemake's own report."""
    protocol, _, file = name.removeprefix("figures/").partition("/")
    kind = next(
        kind for kind in SYSTEM_KINDS + PROTOCOL_KINDS + OPEN_SET_KINDS if file.removesuffix(".svg").endswith(kind)
    )
    system = file.removesuffix(f"{kind}.svg").rstrip("-")
    return report(
        f"results/{name}",
        category=protocol,
        subcategory=system or "all systems",
        labels={"system": system or "all", "figure": kind},
        caption=f"../report/{CAPTIONS.get(kind, kind)}.rst",
    )
