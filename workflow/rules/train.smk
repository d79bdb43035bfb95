# One model per (system, train condition, seed).


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
        features=lambda wildcards, input: str(Path(input.features[0]).parent),
        folder=parent_of_output,
        sources=CORPUS["sources"],
        sizes=sizes_of,
        options=flags(config["train"]),
        device=config["device"],
    shell:
        "srctrace train --features {params.features} --split {input.split} --system {wildcards.system}"
        " --sizes {params.sizes:q} --sources {params.sources} --seed {wildcards.seed} {params.options}"
        " --device {params.device} --threads {threads} --out {params.folder} 2> {log}"
