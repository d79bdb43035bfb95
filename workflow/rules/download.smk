# Data sets from their hosts, on demand only: no other rule takes the marks made here, so a run never downloads by
# surprise. snakemake --cores all download_musan (or data/musan/.complete); docs/data.md lists them all.

from srctrace.download.catalogue import CATALOGUE, MARK

for dataset in CATALOGUE.values():

    rule:
        name:
            f"download_{dataset.name.replace('-', '_')}"
        output:
            update(f"{dataset.folder}/{MARK}"),  # not deleted before a job: it says that there is nothing to do
        log:
            f"results/logs/download/{dataset.name}.log",
        benchmark:
            f"results/benchmarks/download/{dataset.name}.tsv"
        retries: 2
        localrule: True
        container:
            image("preprocess")
        threads: 1
        resources:
            **needs("fetch"),
        params:
            name=dataset.name,
            to=parent_of_output,
        shell:
            "srctrace download {params.name} --to {params.to:q} 2>&1 | tee {log}"
