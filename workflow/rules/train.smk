# One model per (system, train condition, seed).

MODEL = f"results/{CORPUS['name']}/{{protocol}}/{{system}}/{{train}}/seed{{seed}}"


def features_of(wildcards):
    """The feature stores of a train condition's languages."""
    languages = grid.conditions(config, wildcards.protocol)[wildcards.train]
    return expand(f"{FEATURES}/{{language}}{{suffix}}", language=languages, suffix=[".npy", ".tsv", ".json"])


def sizes_of(wildcards):
    """The sizes of a system's back-end, as NAME=VALUE."""
    sizes = config["backends"].get(grid.split_system(wildcards.system)[1], {})
    return [f"{name}={json.dumps(value, separators=(',', ':'))}" for name, value in sizes.items()]


rule train:
    input:
        features=features_of,
        split=f"results/{CORPUS['name']}/{{protocol}}/splits/{{train}}.tsv",
    output:
        multiext(f"{MODEL}/model", ".safetensors", ".json"),
        f"{MODEL}/history.tsv",
    log:
        "results/logs/train/{protocol}/{system}/{train}-seed{seed}.log",
    benchmark:
        "results/benchmarks/train/{protocol}-{system}-{train}-seed{seed}.tsv"
    container:
        config["containers"]["model"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
        gpu=1 if GPUS else 0,
    params:
        features=FEATURES,
        folder=lambda wildcards, output: str(Path(output[0]).parent),
        sources=CORPUS["sources"],
        sizes=sizes_of,
        options=flags(config["train"]),
        device=config["device"],
    shell:
        "srctrace train --features {params.features} --split {input.split} --system {wildcards.system}"
        " --sizes {params.sizes:q} --sources {params.sources} --seed {wildcards.seed} {params.options}"
        " --device {params.device} --threads {threads} --out {params.folder} 2> {log}"
