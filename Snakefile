# Source tracing of speech deepfakes: from a corpus to results/report.html. What to run is in config.yaml.

# A config given with --configfile stands alone: Snakemake would lay it over this one, small models and all.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/run.smk"
include: "workflow/rules/jobs.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/preprocess.smk"
include: "workflow/rules/ssl.smk"
include: "workflow/rules/speakers.smk"
include: "workflow/rules/protocol.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report.html",
        expand("results/{table}.tsv", table=CELL_TABLES + OPEN_TABLES),
        "results/summary.tsv",
    localrule: True
