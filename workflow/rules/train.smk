# One model per (system, train condition, seed).


rule train:
    input:
        features=lambda wildcards: features_of([wildcards.train]),
        split=f"{SPLITS}/{{train}}.tsv",
        sources=LABELS,
    output:
        multiext(f"{MODEL}/model", ".safetensors", ".json"),
        f"{MODEL}/history.tsv",
    log:
        "results/logs/train/{system}/{train}-seed{seed}.log",
    benchmark:
        "results/benchmarks/train/{system}-{train}-seed{seed}.tsv"
    container:
        config["containers"]["model"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
        gpu=1 if GPUS else 0,
    params:
        features=lambda wildcards, input: str(Path(input.features[0]).parent),
        folder=parent_of_output,
        sizes=sizes_of,
        options=flags(config["train"]),
        device=config["device"],
    shell:
        "srctrace train --features {params.features} --split {input.split} --system {wildcards.system}"
        " --sizes {params.sizes:q} --sources {input.sources} --seed {wildcards.seed} {params.options}"
        " --device {params.device} --threads {threads} --out {params.folder} 2> {log}"
