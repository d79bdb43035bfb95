# Who is in train, dev and eval; and each protocol's conditions.


rule split:
    input:
        manifest=f"results/{CORPUS['name']}/manifest.tsv",
        waves=expand(f"{WAVES}/{{language}}.tsv", language=LANGUAGES),
    output:
        f"results/{CORPUS['name']}/split.tsv",
    log:
        "results/logs/split.log",
    benchmark:
        "results/benchmarks/split/all.tsv"
    container:
        config["containers"]["preprocess"]
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
        gpu=0,
    params:
        sources=CORPUS["sources"],
        seed=config["protocol_seed"],
        options=flags(config["split"]),
    shell:
        "srctrace split --manifest {input.manifest} --waves {input.waves} --sources {params.sources}"
        " --seed {params.seed} {params.options} --out {output} 2> {log}"


for protocol in config["protocols"]:

    rule:
        name:
            f"list_conditions_{protocol}"
        input:
            f"results/{CORPUS['name']}/split.tsv",
        output:
            expand(f"results/{CORPUS['name']}/{protocol}/splits/{{test}}.tsv", test=conditions(protocol)),
        log:
            f"results/logs/list_conditions/{protocol}.log",
        benchmark:
            f"results/benchmarks/list_conditions/{protocol}.tsv"
        container:
            config["containers"]["preprocess"]
        threads: 1
        resources:
            mem_mb=1000,
            runtime=20,
            gpu=0,
        params:
            conditions=[
                f"{name}={','.join(languages)}" for name, languages in grid.conditions(config, protocol).items()
            ],
            folder=parent_of_output,
        shell:
            "srctrace list-conditions --split {input} --conditions {params.conditions} --out {params.folder} 2> {log}"
