# Pseudo-speakers, where the config asks for them: embeddings of all utterances, clustered, written into the manifest.

if config["speakers"]["from"] == "clusters":

    EMBEDDINGS = f"results/{CORPUS['name']}/speakers"

    rule embed_speakers:
        input:
            waves=f"{WAVES}/{{language}}.npy",
            waves_index=f"{WAVES}/{{language}}.tsv",
        output:
            array=f"{EMBEDDINGS}/{{language}}.npy",
            index=f"{EMBEDDINGS}/{{language}}.tsv",
            made=f"{EMBEDDINGS}/{{language}}.json",
        log:
            "results/logs/embed_speakers/{language}.log",
        benchmark:
            "results/benchmarks/embed_speakers/{language}.tsv"
        container:
            image("model" if config["speakers"]["model"] else "preprocess")
        threads: 1
        resources:
            **needs("embed" if config["speakers"]["model"] else "extract", gpu=bool(config["speakers"]["model"])),
        params:
            model=flags({"model": config["speakers"]["model"]}),
            device=config["device"],
        shell:
            "HF_HUB_OFFLINE=$WANTED_OFFLINE srctrace embed-speakers --waves {input.waves} {params.model} --device {params.device}"
            " --threads {threads} --out {output.array} 2> {log}"

    rule cluster_speakers:
        input:
            manifest=SCANNED,
            label_map=LABELS,
            embeddings=expand(f"{EMBEDDINGS}/{{language}}.npy", language=LANGUAGES),
            indices=expand(f"{EMBEDDINGS}/{{language}}.tsv", language=LANGUAGES),
            made=expand(f"{EMBEDDINGS}/{{language}}.json", language=LANGUAGES),
        output:
            manifest=MANIFEST,
            clusters=f"{EMBEDDINGS}/clusters.tsv",
            quality=f"{EMBEDDINGS}/quality.tsv",
        log:
            "results/logs/cluster_speakers.log",
        benchmark:
            "results/benchmarks/cluster_speakers/all.tsv"
        container:
            image("preprocess")
        threads: 1
        resources:
            **needs("cluster"),
        params:
            folder=EMBEDDINGS,
            seed=config["protocol_seed"],
            options=flags(
                {
                    name: config["speakers"][name]
                    for name in ("across_languages", "standardise", "clusters", "least", "most", "starts")
                }
            ),
        shell:
            "srctrace cluster-speakers --manifest {input.manifest} --label-map {input.label_map}"
            " --embeddings {input.embeddings} --seed {params.seed} {params.options} --out {output.manifest}"
            " --folder {params.folder} 2> {log}"
