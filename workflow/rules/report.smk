# The page for a person, its figures, and the config it was made with.

AUDITED = expand(f"results/{CORPUS['name']}/{{protocol}}/audit", protocol=config["protocols"])


def figure_outputs(protocol):
    return [f"results/{name}" for name in figure_names(protocol, config["systems"])]


rule record_config:
    output:
        "results/config.json",
    log:
        "results/logs/record_config.log",
    benchmark:
        "results/benchmarks/record_config/all.tsv"
    container:
        config["containers"]["report"]
    threads: 1
    resources:
        mem_mb=300,
        runtime=5,
        gpu=0,
    params:
        config=json.dumps(config, indent=1),
    shell:
        "printf '%s\\n' {params.config:q} > {output} 2> {log}"
