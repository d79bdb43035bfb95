# Scores of every model on the conditions it is tested on, what they amount to, and the audit beside them.

UNKNOWN = splits_of([f"all-{grid.OUT_OF_SET}"])[0] if grid.OUT_OF_SET in config["protocols"] else []
CELL_TABLES = ("metrics", "classes", "confusion", "calibration", "reliability")
OPEN_TABLES = ("openset", "detection", "fewshot") if UNKNOWN else ()

# Outputs cannot depend on wildcards, so models with the same tests share a rule, and other models have another.
for tests in dict.fromkeys(TESTS.values()):
    trains = [train for train in TESTS if TESTS[train] == tests]
    tested = [cell for cell in CELLS if cell.train.name == trains[0]]
    group = re.sub(r"\W", "_", tested[0].protocol if len(trains) > 1 else trains[0])

    rule:
        name:
            f"score_{group}"
        input:
            model=multiext(f"{MODEL}/model", ".safetensors", ".json"),
            # a file for each: thousands of jobs plan twice as fast
            stores=lambda wildcards, languages=languages_of(tests): inputs_of(
                wildcards.system, wildcards.train, languages, [".npy"]
            ),
            splits=splits_of(tests),
            fit=f"{SPLITS}/{{train}}.tsv",
            unknown=UNKNOWN,
        output:
            expand(f"{MODEL}/scores/{{test}}.tsv", test=tests, allow_missing=True),
            embeddings=multiext(f"{MODEL}/embeddings", ".npy", ".tsv"),
        log:
            "results/logs/score/{system}/{train}-seed{seed}.log",
        benchmark:
            "results/benchmarks/score/{system}-{train}-seed{seed}.tsv"
        wildcard_constraints:
            train="|".join(map(re.escape, trains)),
        group:
            "score"  # submitted as one job, several models at a time
        container:
            image("model")
        threads: 1
        resources:
            **needs(
                lambda wildcards: "ssl score" if is_fine_tuned(wildcards) else "score",
                gpu=True,
                group="score",
                share=0.8,
            ),
            batch_seconds=BATCH_SECONDS,
        params:
            model=lambda wildcards, input: str(Path(input.model[0]).parent),
            inputs=lambda wildcards: input_flags(wildcards.system, wildcards.train),
            precision=lambda wildcards: f"--precision {config['ssl']['precision']}" if is_fine_tuned(wildcards) else "",
            variants=config["variants"],
            folder=parent_of_output,
            unknown=flags({"unknown": UNKNOWN or None}),
            device=config["device"],
        shell:
            'srctrace score --model {params.model} {params.inputs} --stage "$STAGE" {params.precision} --splits {input.splits}'
            " --fit {input.fit} {params.unknown} --embeddings {output.embeddings[0]} --batch-seconds {resources.batch_seconds} --variants {params.variants} --device {params.device} --threads {threads} --out {params.folder} 2> {log}"

    rule:
        name:
            f"measure_{group}"
        input:
            # Not the split lists: scores are newer than they are, and thousands of jobs plan a quarter faster without.
            scores=expand(f"{MODEL}/scores/{{test}}.tsv", test=tests, allow_missing=True),
            embeddings=multiext(f"{MODEL}/embeddings", ".npy", ".tsv"),
            model=f"{MODEL}/model.json",
        output:
            expand(f"{MODEL}/{{table}}.tsv", table=CELL_TABLES + OPEN_TABLES, allow_missing=True),
            decision=f"{MODEL}/decision.safetensors",
        log:
            "results/logs/measure/{system}/{train}-seed{seed}.log",
        benchmark:
            "results/benchmarks/measure/{system}-{train}-seed{seed}.tsv"
        wildcard_constraints:
            train="|".join(map(re.escape, trains)),
        group:
            "score"
        container:
            image("report")
        threads: 1
        resources:
            **needs("measure", group="score", share=0.2),
        params:
            cells=[f"{cell.protocol}/{cell.test.name}" for cell in tested],
            corpus=CORPUS["name"],
            scores=lambda wildcards, input: str(Path(input.scores[0]).parent),
            splits=SPLITS,
            folder=parent_of_output,
        shell:
            "srctrace measure --corpus {params.corpus} --system {wildcards.system} --train {wildcards.train}"
            " --seed {wildcards.seed} --cells {params.cells} --model {params.folder} --scores {params.scores}"
            " --embeddings {input.embeddings[0]} --splits {params.splits} --out {params.folder} 2> {log}"


for protocol in grid.tested_protocols(config):
    own = list(grid.conditions(config, [protocol]))

    rule:
        name:
            f"audit_{protocol.replace('-', '_')}"
        input:
            manifest=MANIFEST,
            waves=expand(f"{WAVES}/{{language}}.tsv", language=LANGUAGES),
            features=expand(f"{FEATURES}/{grid.LFCC}/{{language}}.npy", language=LANGUAGES),
            indices=expand(f"{FEATURES}/{grid.LFCC}/{{language}}.tsv", language=LANGUAGES),
            splits=splits_of(own),
        output:
            baselines=f"results/{CORPUS['name']}/audit/{protocol}/baselines.tsv",
            findings=f"results/{CORPUS['name']}/audit/{protocol}/findings.tsv",
        log:
            f"results/logs/audit/{protocol}.log",
        benchmark:
            f"results/benchmarks/audit/{protocol}.tsv"
        container:
            image("report")
        threads: 1
        resources:
            **needs("audit"),
        params:
            name=f"--corpus {CORPUS['name']} --protocol {protocol}",
            cells=[f"{cell.train.name}/{cell.test.name}" for cell in CELLS if cell.protocol == protocol],
            splits=lambda wildcards, input: str(Path(input.splits[0]).parent),
            folder=parent_of_output,
        shell:
            "srctrace audit {params.name} --cells {params.cells} --manifest {input.manifest} --waves {input.waves}"
            " --features {input.features} --splits {params.splits} --out {params.folder} 2> {log}"

    rule:
        name:
            f"compare_{protocol.replace('-', '_')}"
        input:
            config="results/config.json",
            metrics=of_every_model("metrics.tsv"),  # each made when its model's scores are there
            splits=splits_of(own),
        output:
            f"results/{CORPUS['name']}/audit/{protocol}/differences.tsv",
        log:
            f"results/logs/compare/{protocol}.log",
        benchmark:
            f"results/benchmarks/compare/{protocol}.tsv"
        container:
            image("report")
        threads: 1
        resources:
            **needs("audit"),
        params:
            protocol=protocol,
            results=lambda wildcards, input: str(Path(input.splits[0]).parents[1]),
        shell:
            "srctrace compare --config {input.config} --protocol {params.protocol} --results {params.results}"
            " --out {output} 2> {log}"


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
        table="|".join(CELL_TABLES + OPEN_TABLES),
    container:
        image("report")
    threads: 1
    resources:
        **needs("table"),
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
        image("report")
    threads: 1
    resources:
        **needs("table"),
    shell:
        "srctrace summarise {input} --out {output} 2> {log}"
