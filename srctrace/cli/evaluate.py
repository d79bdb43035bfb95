"""From scores to tables of metrics, and to decisions; and what could be wrong with them."""

import argparse
from pathlib import Path

from srctrace.cli.commands import Commands

COMMANDS = Commands()


@COMMANDS.add("measure", "metrics of one model, its calibration, and the decision that is fitted to it")
def _measure(parser: argparse.ArgumentParser):
    from srctrace.metrics import MODEL_COLUMNS

    for column in MODEL_COLUMNS:
        parser.add_argument(f"--{column}", required=True, help=f"the model's {column}, for the tables")
    _add_cells(parser, "PROTOCOL/TEST")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--scores", type=Path, required=True, help="folder with the scores of each test condition")
    parser.add_argument("--embeddings", type=Path, required=True, help="store (.npy) of the embeddings of all trials")
    parser.add_argument("--splits", type=Path, required=True, help="folder with the conditions' split lists")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the tables and decision.safetensors")

    def run(arguments: argparse.Namespace) -> None:
        from srctrace import calibration, decision, fewshot, metrics
        from srctrace.embeddings import read_embeddings
        from srctrace.openset import table
        from srctrace.tables import write_table

        model = {column: getattr(arguments, column) for column in MODEL_COLUMNS}
        described = decision.read_model(arguments.model)
        trials = read_embeddings(arguments.embeddings, described["sources"])
        metrics.measure(model, arguments.cells, arguments.scores, arguments.splits, arguments.out)
        openset, detection = table.measure(model, trials)
        fitted = decision.fit(trials, described["training"]["corpus"], openset)
        calibrated, reliability = calibration.measure(
            model, arguments.cells, arguments.scores, trials, fitted.temperature
        )
        tables = {
            "calibration": (calibration.CALIBRATION_COLUMNS, calibrated),
            "reliability": (calibration.RELIABILITY_COLUMNS, reliability),
            "openset": (table.OPENSET_COLUMNS, openset),
            "detection": (table.DETECTION_COLUMNS, detection),
            "fewshot": (fewshot.COLUMNS, fewshot.measure(model, trials, fitted)),
        }
        for name, (columns, rows) in tables.items():
            write_table(arguments.out / f"{name}.tsv", columns, rows)
        decision.save(fitted, arguments.out / decision.NAME, described["weights_sha256"])

    return run


@COMMANDS.add("collect", "put a table of all models into one")
def _collect(parser: argparse.ArgumentParser):
    from srctrace import calibration, fewshot, metrics
    from srctrace.openset import table

    columns = {
        "metrics": metrics.METRICS_COLUMNS,
        "classes": metrics.CLASSES_COLUMNS,
        "confusion": metrics.CONFUSION_COLUMNS,
        "calibration": calibration.CALIBRATION_COLUMNS,
        "reliability": calibration.RELIABILITY_COLUMNS,
        "openset": table.OPENSET_COLUMNS,
        "detection": table.DETECTION_COLUMNS,
        "fewshot": fewshot.COLUMNS,
    }
    parser.add_argument("kind", choices=sorted(columns))
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: metrics.collect(arguments.tables, columns[arguments.kind], arguments.out)


@COMMANDS.add("summarise", "mean and deviation over seeds")
def _summarise(parser: argparse.ArgumentParser):
    from srctrace.metrics import METRICS_COLUMNS, SUMMARY_COLUMNS, summarise
    from srctrace.tables import read_table, write_table

    parser.add_argument("metrics", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: write_table(
        arguments.out, SUMMARY_COLUMNS, summarise(read_table(arguments.metrics, METRICS_COLUMNS))
    )


@COMMANDS.add("compare", "which differences between the systems of a protocol mean something")
def _compare(parser: argparse.ArgumentParser):
    from srctrace.significance import COLUMNS, compare

    parser.add_argument("--config", type=Path, required=True, help="the run's complete config (JSON)")
    parser.add_argument("--protocol", required=True)
    parser.add_argument("--results", type=Path, required=True, help="the corpus's folder: models/ and splits/")
    parser.add_argument("--out", type=Path, required=True)

    def run(arguments: argparse.Namespace) -> None:
        import json

        from srctrace.tables import write_table

        config = json.loads(arguments.config.read_text(encoding="utf-8"))
        write_table(arguments.out, COLUMNS, compare(config, arguments.protocol, arguments.results))

    return run


@COMMANDS.add("audit", "trivial baselines, leaks and shortcuts of a protocol")
def _audit(parser: argparse.ArgumentParser):
    from srctrace.audit import audit

    parser.add_argument("--corpus", required=True, help="its name, for the tables")
    parser.add_argument("--protocol", required=True, help="its name, for the tables")
    _add_cells(parser, "TRAIN/TEST")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True, help="folder with the conditions' split lists")
    parser.add_argument("--waves", type=Path, nargs="+", required=True, help="indices of decoded audio")
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="feature stores (.npy)")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets baselines.tsv and findings.tsv")
    return lambda arguments: audit(
        corpus=arguments.corpus,
        protocol=arguments.protocol,
        manifest=arguments.manifest,
        cells=arguments.cells,
        splits=arguments.splits,
        waves=arguments.waves,
        features=arguments.features,
        out=arguments.out,
    )


def _add_cells(parser: argparse.ArgumentParser, form: str) -> None:
    """A flag for cells, each a pair of names."""

    def pair(text: str) -> tuple[str, str]:
        first, slash, second = text.partition("/")
        if not (first and slash and second):
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form {form}")
        return first, second

    parser.add_argument("--cells", type=pair, nargs="+", required=True, metavar=form)
