# Who is in train, dev and eval; and each protocol's conditions.


rule split:
    input:
        manifest=MANIFEST,
        waves=expand(f"{WAVES}/{{language}}.tsv", language=LANGUAGES),
        sources=LABELS,
    output:
        f"results/{CORPUS['name']}/split.tsv",
    log:
        "results/logs/split.log",
    benchmark:
        "results/benchmarks/split/all.tsv"
    container:
        image("preprocess")
    threads: 1
    resources:
        **needs("table"),
    params:
        seed=config["protocol_seed"],
        options=flags({name: value for name, value in config["split"].items() if name != "lists"}),
    shell:
        "srctrace split --manifest {input.manifest} --waves {input.waves} --sources {input.sources}"
        " --seed {params.seed} {params.options} --out {output} 2> {log}"


# A job for each sort of conditions: a protocol that is added to a run lists nothing again, and nothing is trained again.
for kind in dict.fromkeys(condition.kind for condition in CONDITIONS.values()):
    listed = [condition for condition in CONDITIONS.values() if condition.kind == kind]

    rule:
        name:
            f"list_{kind}"
        input:
            f"results/{CORPUS['name']}/split.tsv",
        output:
            splits_of(condition.name for condition in listed),
        log:
            f"results/logs/list_conditions/{kind}.log",
        benchmark:
            f"results/benchmarks/list_conditions/{kind}.tsv"
        container:
            image("preprocess")
        threads: 1
        resources:
            **needs("table"),
        params:
            conditions=[str(condition) for condition in listed],
            folder=parent_of_output,
        shell:
            "srctrace list-conditions --split {input} --conditions {params.conditions:q} --out {params.folder} 2> {log}"
