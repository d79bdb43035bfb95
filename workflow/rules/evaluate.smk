# Scores of every model on every condition, what they amount to, and the audit beside them.

CELL_TABLES = ("metrics", "classes", "confusion")

for protocol in config["protocols"]:
    protocol_model = MODEL.replace("{protocol}", protocol)

    rule:
        name:
            f"score_{protocol}"
        input:
            model=multiext(f"{protocol_model}/model", ".safetensors", ".json"),
            features=expand(f"{FEATURES}/{{language}}{{suffix}}", language=LANGUAGES, suffix=[".npy", ".tsv", ".json"]),
            splits=expand(f"results/{CORPUS['name']}/{protocol}/splits/{{test}}.tsv", test=conditions(protocol)),
        output:
            expand(f"{protocol_model}/scores/{{test}}.tsv", test=conditions(protocol), allow_missing=True),
        log:
            f"results/logs/score/{protocol}/{{system}}/{{train}}-seed{{seed}}.log",
        benchmark:
            f"results/benchmarks/score/{protocol}-{{system}}-{{train}}-seed{{seed}}.tsv"
        container:
            config["containers"]["model"]
        threads: 1
        resources:
            mem_mb=2000,
            runtime=60,
            gpu=1 if GPUS else 0,
        params:
            model=lambda wildcards, input: str(Path(input.model[0]).parent),
            features=lambda wildcards, input: str(Path(input.features[0]).parent),
            variants=config["variants"],
            folder=parent_of_output,
            device=config["device"],
        shell:
            "srctrace score --model {params.model} --features {params.features} --splits {input.splits}"
            " --variants {params.variants} --device {params.device} --threads {threads} --out {params.folder} 2> {log}"

    rule:
        name:
            f"measure_{protocol}"
        input:
            scores=expand(f"{protocol_model}/scores/{{test}}.tsv", test=conditions(protocol), allow_missing=True),
            splits=expand(f"results/{CORPUS['name']}/{protocol}/splits/{{test}}.tsv", test=conditions(protocol)),
        output:
            expand(f"{protocol_model}/{{table}}.tsv", table=CELL_TABLES, allow_missing=True),
        log:
            f"results/logs/measure/{protocol}/{{system}}/{{train}}-seed{{seed}}.log",
        benchmark:
            f"results/benchmarks/measure/{protocol}-{{system}}-{{train}}-seed{{seed}}.tsv"
        container:
            config["containers"]["report"]
        threads: 1
        resources:
            mem_mb=1000,
            runtime=20,
            gpu=0,
        params:
            cell=f"--corpus {CORPUS['name']} --protocol {protocol}",
            folder=parent_of_output,
        shell:
            "srctrace measure {params.cell} --system {wildcards.system} --seed {wildcards.seed}"
            " --train {wildcards.train} --scores {input.scores} --splits {input.splits} --out {params.folder} 2> {log}"

    rule:
        name:
            f"audit_{protocol}"
        input:
            manifest=f"results/{CORPUS['name']}/manifest.tsv",
            waves=expand(f"{WAVES}/{{language}}.tsv", language=LANGUAGES),
            features=expand(f"{FEATURES}/{{language}}.npy", language=LANGUAGES),
            indices=expand(f"{FEATURES}/{{language}}.tsv", language=LANGUAGES),
            splits=expand(f"results/{CORPUS['name']}/{protocol}/splits/{{test}}.tsv", test=conditions(protocol)),
        output:
            baselines=f"results/{CORPUS['name']}/{protocol}/audit/baselines.tsv",
            findings=f"results/{CORPUS['name']}/{protocol}/audit/findings.tsv",
        log:
            f"results/logs/audit/{protocol}.log",
        benchmark:
            f"results/benchmarks/audit/{protocol}.tsv"
        container:
            config["containers"]["report"]
        threads: 1
        resources:
            mem_mb=2000,
            runtime=60,
            gpu=0,
        params:
            cell=f"--corpus {CORPUS['name']} --protocol {protocol}",
            folder=parent_of_output,
        shell:
            "srctrace audit {params.cell} --manifest {input.manifest} --waves {input.waves}"
            " --features {input.features} --splits {input.splits} --out {params.folder} 2> {log}"


rule collect:
    input:
        lambda wildcards: of_every_model(f"{wildcards.table}.tsv"),
    output:
        "results/{table}.tsv",
    log:
        "results/logs/collect/{table}.log",
    benchmark:
        "results/benchmarks/collect/{table}.tsv"
    wildcard_constraints:
        table="|".join(CELL_TABLES),
    container:
        config["containers"]["report"]
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
        gpu=0,
    shell:
        "srctrace collect {wildcards.table} {input} --out {output} 2> {log}"


rule summarise:
    input:
        "results/metrics.tsv",
    output:
        "results/summary.tsv",
    log:
        "results/logs/summarise.log",
    benchmark:
        "results/benchmarks/summarise/all.tsv"
    container:
        config["containers"]["report"]
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
        gpu=0,
    shell:
        "srctrace summarise {input} --out {output} 2> {log}"
