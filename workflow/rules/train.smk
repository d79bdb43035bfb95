# One model per (system, train condition, seed).


rule train:
    input:
        stores=lambda wildcards: inputs_of(
            wildcards.system, wildcards.train, languages_of([wildcards.train]), (".npy", ".tsv", ".json")
        ),
        checkpoint=lambda wildcards: checkpoint_of(wildcards.system, wildcards.train) or [],
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
        image("model")
    threads: 1
    resources:
        **needs(lambda wildcards: "ssl train" if is_fine_tuned(wildcards) else "train", gpu=True, saves=True),
    params:
        inputs=lambda wildcards: input_flags(wildcards.system, wildcards.train),
        checkpoint=lambda wildcards: checkpoint_flags(wildcards.system, wildcards.train),
        folder=parent_of_output,
        sizes=sizes_of,
        corpus=CORPUS["name"],
        options=lambda wildcards: flags(grid.training_of(config, wildcards.system, CONDITIONS[wildcards.train])),
        device=config["device"],
    shell:
        'srctrace train {params.inputs} --stage "$STAGE" {params.checkpoint} --split {input.split} --system {wildcards.system}'
        " --sizes {params.sizes:q} --sources {input.sources} --corpus {params.corpus} --seed {wildcards.seed} {params.options}"
        " --device {params.device} --threads {threads} --out {params.folder} 2> {log}"
