# Decode once, split the noise, compute the features of every variant.


rule decode:
    input:
        manifest=SCANNED,
        speech=f"{CORPUS['path']}/speech/{{language}}" if CORPUS["type"] == "builtin" else [],
    output:
        array=f"{WAVES}/{{language}}.npy",
        index=f"{WAVES}/{{language}}.tsv",
    log:
        "results/logs/decode/{language}.log",
    benchmark:
        "results/benchmarks/decode/{language}.tsv"
    container:
        image("model" if CORPUS["type"] == "mcl-mlaad" else "preprocess")  # tensors need torch
    threads: 1
    resources:
        **needs("decode"),
    params:
        root=lambda wildcards: CORPUS["path"],
        seconds=config["seconds"],
        seed=config["protocol_seed"],
    shell:
        "srctrace decode --manifest {input.manifest} --language {wildcards.language} --root {params.root:q}"
        " --seconds {params.seconds} --seed {params.seed} --threads {threads} --out {output.array} 2> {log}"


rule pack_noise:
    input:
        **noise_inputs(),
    output:
        array="results/noise/bank.npy",
        index="results/noise/bank.tsv",
    log:
        "results/logs/pack_noise.log",
    benchmark:
        "results/benchmarks/pack_noise/all.tsv"
    container:
        image("preprocess")
    threads: 1
    resources:
        **needs("extract"),
    params:
        seed=config["protocol_seed"],
        listing=lambda wildcards, input: flags({"listing": input.get("listing")}),
    shell:
        "srctrace pack-noise --musan {input.musan:q} --rirs {input.rirs:q} {params.listing} --seed {params.seed}"
        " --threads {threads} --out {output.array} 2> {log}"


if not CORPUS["released_lfcc"]:

    rule extract:
        input:
            waves=f"{WAVES}/{{language}}.npy",
            waves_index=f"{WAVES}/{{language}}.tsv",
            bank="results/noise/bank.npy",
            bank_index="results/noise/bank.tsv",
            split=f"results/{CORPUS['name']}/split.tsv",
        output:
            array=f"{FEATURES}/{grid.LFCC}/{{language}}.npy",
            index=f"{FEATURES}/{grid.LFCC}/{{language}}.tsv",
            made=f"{FEATURES}/{grid.LFCC}/{{language}}.json",
        log:
            "results/logs/extract/{language}.log",
        benchmark:
            "results/benchmarks/extract/{language}.tsv"
        container:
            image("preprocess")
        threads: 1
        resources:
            **needs("extract"),
        params:
            variants=config["variants"],
            seed=config["protocol_seed"],
            options=flags(config["lfcc"]),
        shell:
            "srctrace extract --waves {input.waves} --bank {input.bank} --split {input.split}"
            " --variants {params.variants} --seed {params.seed} {params.options} --threads {threads}"
            " --out {output.array} 2> {log}"
