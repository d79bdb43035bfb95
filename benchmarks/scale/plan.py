"""How long Snakemake plans: 40 languages, 12 times 5 models a language, each tested on every language."""

from pathlib import Path

import yaml

from benchmarks.scale.step import run

ROOT = Path(__file__).parents[2]
LANGUAGES = 40
SYSTEMS = ["lfcc-resnet18", "lfcc-ecapa-tdnn", "lfcc-aasist"]
SEEDS = 20  # with the three systems there are, as many models as 12 systems with 5 seeds have


def plan(home: Path) -> list[str]:
    languages = [f"l{number:02d}" for number in range(LANGUAGES)]
    (home / "utterances.tsv").write_text("path\tlanguage\tsource\n")
    for folder in ("musan", "rirs", "audio"):
        (home / folder).mkdir()
    corpus = {"name": "large", "type": "table", "path": "audio", "table": "utterances.tsv", "languages": languages}
    config = {
        "corpus": corpus | {"sources": ["a", "b", "c", "d"]},
        "noise": {"musan": "musan", "rirs": "rirs"},
        "protocols": ["mono"],
        "systems": SYSTEMS,
        "seeds": list(range(SEEDS)),
    }
    (home / "config.yaml").write_text(yaml.safe_dump(config))
    models = LANGUAGES * len(SYSTEMS) * SEEDS
    command = ["-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--configfile", "config.yaml", "--cores", "2"]
    taken = run(*command, "--dry-run", "--quiet", "all", cwd=home)
    return [
        "## Planning",
        "",
        f"`snakemake --dry-run` of {LANGUAGES} languages, {len(SYSTEMS)} systems and {SEEDS} seeds, {models} models "
        f"and {models * LANGUAGES} cells: {taken.seconds:.0f} s, {taken.peak:.0f} MiB.",
    ]
