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
            image("preprocess")
        threads: 1
        resources:
            **needs("speak"),
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
            image("preprocess")
        threads: 1
        resources:
            **needs("speak"),
        params:
            seed=config["builtin"]["seed"],
        shell:
            "srctrace make-noise --root data/builtin --seed {params.seed} --processes {threads} 2> {log}"


rule scan:
    input:
        tables={
            "builtin": expand(f"{CORPUS['path']}/{{language}}.tsv", language=LANGUAGES),
            "table": [CORPUS["table"]] if CORPUS["table"] else [],
        }.get(CORPUS["type"], []),
        split_lists=srctrace_config.files_below(config["split"]["lists"]),
        speaker_lists=srctrace_config.files_below(config["speakers"]["lists"]),
    output:
        manifest=SCANNED,
        sources=LABELS,
    log:
        "results/logs/scan.log",
    benchmark:
        "results/benchmarks/scan/all.tsv"
    container:
        image("preprocess")
    threads: 1
    resources:
        **needs("scan"),
    params:
        corpus=lambda wildcards, input: flags(
            {
                "type": CORPUS["type"],
                "root": CORPUS["path"],
                "tables": list(input.tables) or None,
                "languages": LANGUAGES,
                "sources": CORPUS["sources"],
                "out_of_set": CORPUS["out_of_set"],
                "split_lists": config["split"]["lists"] or None,
                "speaker_lists": config["speakers"]["lists"] or None,
                "bona_fide": CORPUS["bona_fide"] or None,
            }
        ),
        state=lambda wildcards: corpus_state(),  # not passed on
    shell:
        "srctrace scan {params.corpus} --out {output.manifest} --label-map {output.sources} 2> {log}"


if CORPUS["released_lfcc"]:

    # In place of `extract`: what the authors of MCL-MLAAD computed.
    rule import_lfcc:
        input:
            split=f"results/{CORPUS['name']}/split.tsv",
        output:
            array=f"{FEATURES}/{grid.LFCC}/{{language}}.npy",
            index=f"{FEATURES}/{grid.LFCC}/{{language}}.tsv",
            made=f"{FEATURES}/{grid.LFCC}/{{language}}.json",
        log:
            "results/logs/import_lfcc/{language}.log",
        benchmark:
            "results/benchmarks/import_lfcc/{language}.tsv"
        container:
            image("model")
        threads: 1
        resources:
            **needs("decode"),
        params:
            root=lambda wildcards: CORPUS["path"],
            variants=config["variants"],
            seconds=config["seconds"],
            options=flags(config["lfcc"]),
        shell:
            "srctrace import-lfcc --root {params.root:q} --language {wildcards.language} --split {input.split}"
            " --variants {params.variants} --seconds {params.seconds} {params.options} --out {output.array} 2> {log}"
