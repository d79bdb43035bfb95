# The page for a person, its figures, and the config it was made with.


rule record_config:
    output:
        "results/config.json",
    log:
        "results/logs/record_config.log",
    benchmark:
        "results/benchmarks/record_config/all.tsv"
    container:
        image("report")
    threads: 1
    resources:
        **needs("table"),
    params:
        config=lambda wildcards: json.dumps(config, indent=1),  # a function, as it has braces
    shell:
        "printf '%s\\n' {params.config:q} > {output} 2> {log}"


rule illustrate:
    input:
        illustrated,
        config="results/config.json",
        manifest=MANIFEST,
    output:
        examples="results/examples.json",
        projection="results/projection.json",
    log:
        "results/logs/illustrate.log",
    benchmark:
        "results/benchmarks/illustrate/all.tsv"
    container:
        image("report")
    threads: 1
    resources:
        **needs("table"),
    params:
        results=lambda wildcards, input: str(Path(input.manifest).parent),
        folder=parent_of_output,
    shell:
        "srctrace illustrate --config {input.config} --results {params.results} --manifest {input.manifest}"
        " --out {params.folder} 2> {log}"


rule plot:
    input:
        **REPORT_INPUTS,
    output:
        [figure(name) for protocol in config["protocols"] for name in figure_names(protocol, config["systems"])],
    log:
        "results/logs/plot.log",
    benchmark:
        "results/benchmarks/plot/all.tsv"
    container:
        image("report")
    threads: 1
    resources:
        **needs("table"),
    params:
        inputs=report_flags,
    shell:
        "srctrace plot {params.inputs} --out results 2> {log}"


rule report:
    input:
        **REPORT_INPUTS,
        figures=rules.plot.output,
    output:
        "results/report.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report/all.tsv"
    container:
        image("report")
    threads: 1
    resources:
        **needs("table"),
    params:
        inputs=report_flags,
    shell:
        "srctrace report {params.inputs} --benchmarks results/benchmarks --figures results --out {output} 2> {log}"
