# The corpus: speak the built-in one, or find the user's; then list its utterances.

if CORPUS["type"] == "builtin":

    rule speak:
        output:
            table=f"{CORPUS['path']}/{{language}}.tsv",
            speech=directory(f"{CORPUS['path']}/speech/{{language}}"),
        log:
            "results/logs/speak/{language}.log",
        benchmark:
            "results/benchmarks/speak/{language}.tsv"
        container:
            config["containers"]["preprocess"]
        threads: 1
        resources:
            mem_mb=1000,
            runtime=20,
            gpu=0,
        params:
            sources=CORPUS["sources"],
            out_of_set=flags({"out_of_set": CORPUS["out_of_set"]}),
            options=flags(config["builtin"]),
            root=lambda wildcards: CORPUS["path"],
        shell:
            "srctrace speak --language {wildcards.language} --sources {params.sources} {params.out_of_set}"
            " {params.options} --root {params.root:q} --table {output.table:q} --processes {threads} 2> {log}"


if not (config["noise"]["musan"] and config["noise"]["rirs"]):

    rule make_noise:
        output:
            musan=directory("data/builtin/musan"),
            rirs=directory("data/builtin/rirs"),
            listing="data/builtin/noise.tsv",
        log:
            "results/logs/make_noise.log",
        benchmark:
            "results/benchmarks/make_noise/all.tsv"
        container:
            config["containers"]["preprocess"]
        threads: 1
        resources:
            mem_mb=1000,
            runtime=20,
            gpu=0,
        params:
            seed=config["builtin"]["seed"],
        shell:
            "srctrace make-noise --root data/builtin --seed {params.seed} --processes {threads} 2> {log}"


rule scan:
    input:
        {
            "builtin": expand(f"{CORPUS['path']}/{{language}}.tsv", language=LANGUAGES),
            "table": [CORPUS["table"]] if CORPUS["table"] else [],
            "folder": [],
        }[CORPUS["type"]],
    output:
        manifest=f"results/{CORPUS['name']}/manifest.tsv",
        label_map=LABELS,
    log:
        "results/logs/scan.log",
    benchmark:
        "results/benchmarks/scan/all.tsv"
    container:
        config["containers"]["preprocess"]
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
        gpu=0,
    params:
        source=lambda wildcards, input: flags(
            {"folder": CORPUS["path"]} if CORPUS["type"] == "folder" else {"tables": list(input)}
        ),
        languages=LANGUAGES,
        sources=CORPUS["sources"],
        out_of_set=flags({"out_of_set": CORPUS["out_of_set"]}),
        # Not passed on: a folder that has changed is scanned, and decoded, again.
        state=lambda wildcards: (
            srctrace_config.fingerprint(CORPUS["path"], LANGUAGES) if CORPUS["type"] == "folder" else None
        ),
    shell:
        "srctrace scan {params.source} --languages {params.languages} --sources {params.sources}"
        " {params.out_of_set} --out {output.manifest} --label-map {output.label_map} 2> {log}"
