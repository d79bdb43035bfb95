# Checkpoints of SSL front-ends: fetched, made or pretrained; and the hidden states of those that are frozen.


# snakemake --cores all fetch_weights: all that the run needs of the hub, for a machine without internet.
rule fetch_weights:
    input:
        expand(f"{CHECKPOINTS}/{{frontend}}.json", frontend=SSL),
    localrule: True


rule fetch_checkpoint:
    input:
        folder=lambda wildcards: folder_of(wildcards.frontend),
    output:
        update(f"{CHECKPOINTS}/{{frontend}}.json"),  # not deleted before a job: it holds the commit of `main`
    log:
        "results/logs/fetch_checkpoint/{frontend}.log",
    benchmark:
        "results/benchmarks/fetch_checkpoint/{frontend}.tsv"
    retries: 2
    localrule: True
    container:
        image("model")
    threads: 1
    resources:
        **needs("fetch"),
    params:
        checkpoint=lambda wildcards: SSL[wildcards.frontend].checkpoint,
        revision=lambda wildcards: SSL[wildcards.frontend].revision,
        state=lambda wildcards: folder_state(wildcards.frontend),  # not passed on
    shell:
        "HF_HUB_OFFLINE=$WANTED_OFFLINE srctrace fetch-weights {params.checkpoint:q} --revision {params.revision:q} --out {output}"
        " 2>&1 | tee {log}"


rule make_checkpoint:
    output:
        directory("data/checkpoints/tiny-{architecture}"),
    log:
        "results/logs/make_checkpoint/{architecture}.log",
    benchmark:
        "results/benchmarks/make_checkpoint/{architecture}.tsv"
    container:
        image("model")
    threads: 1
    resources:
        **needs("table"),
    shell:
        "srctrace make-checkpoint {wildcards.architecture} --out {output} 2> {log}"


# Runs if a front-end names its output as its checkpoint, and else not. What it begins with can be had too, to see what
# pretraining does.
rule pretrain:
    input:
        waves=expand(f"{WAVES}/{{language}}.npy", language=LANGUAGES),
        waves_index=expand(f"{WAVES}/{{language}}.tsv", language=LANGUAGES),
        split=f"results/{CORPUS['name']}/split.tsv",
    output:
        directory(f"results/{CORPUS['name']}/{{state}}"),
    log:
        "results/logs/pretrain/{state}.log",
    benchmark:
        "results/benchmarks/pretrain/{state}.tsv"
    wildcard_constraints:
        state="pretrained|untrained",
    container:
        image("model")
    threads: 2
    resources:
        **needs("pretrain", gpu=True, saves=True),
    params:
        options=lambda wildcards: flags(config["pretrain"] | ({"steps": 0} if wildcards.state == "untrained" else {})),
        device=config["device"],
    shell:
        "srctrace pretrain --waves {input.waves} --split {input.split} {params.options} --device {params.device}"
        " --threads {threads} --out {output} 2> {log}"


rule extract_hidden:
    input:
        checkpoint=f"{CHECKPOINTS}/{{frontend}}.json",
        waves=f"{WAVES}/{{language}}.npy",
        waves_index=f"{WAVES}/{{language}}.tsv",
        bank="results/noise/bank.npy",
        bank_index="results/noise/bank.tsv",
        split=f"results/{CORPUS['name']}/split.tsv",
    output:
        array=f"{FEATURES}/{{frontend}}/{{language}}.npy",
        index=f"{FEATURES}/{{frontend}}/{{language}}.tsv",
        made=f"{FEATURES}/{{frontend}}/{{language}}.json",
    log:
        "results/logs/extract_hidden/{frontend}/{language}.log",
    benchmark:
        "results/benchmarks/extract_hidden/{frontend}-{language}.tsv"
    wildcard_constraints:
        frontend="|".join(map(re.escape, FROZEN)) or "none",
    container:
        image("model")
    threads: 1
    resources:
        **needs("ssl extract", gpu=True),
        batch_seconds=BATCH_SECONDS,
    params:
        layers=lambda wildcards: SSL[wildcards.frontend].layers,
        variants=config["variants"],
        seed=config["protocol_seed"],
        precision=config["ssl"]["precision"],
        stored=config["ssl"]["stored"],
        device=config["device"],
    shell:
        "srctrace extract-hidden --checkpoint {input.checkpoint} --layers {params.layers} --waves {input.waves}"
        " --bank {input.bank} --split {input.split} --variants {params.variants} --seed {params.seed}"
        " --precision {params.precision} --batch-seconds {resources.batch_seconds}"
        " --stored {params.stored} --device {params.device} --threads {threads} --out {output.array} 2> {log}"
