"""The command line: `srctrace COMMAND …`, one subcommand per step of the workflow.

Thin: parse, call, exit status. 0 is success, 2 is something wrong that the user can mend (one message, no traceback).
Modules are imported by the command that needs them, so that a step without torch runs without torch.
"""

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from srctrace import __version__
from srctrace.errors import UserError
from srctrace.grid import VARIANTS
from srctrace.options import add_flags, at_least, from_flags

COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], Callable[[argparse.Namespace], None]]]] = {}


def command(name: str, summary: str):
    """Register a function that adds a command's arguments to a parser and returns what runs it."""

    def register(function):
        COMMANDS[name] = (summary, function)
        return function

    return register


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="srctrace", description="Source tracing of speech deepfakes.")
    parser.add_argument("--version", action="version", version=f"srctrace {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (summary, define) in COMMANDS.items():
        subparser = commands.add_parser(name, help=summary, description=summary)
        if argv[:1] == [name]:  # the others' modules are not needed
            subparser.set_defaults(run=define(subparser))
    arguments = parser.parse_args(argv)
    try:
        _check_code()
        arguments.run(arguments)
    except UserError as error:
        print(f"srctrace {argv[0]}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads, as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        disk = _disk_error(error)
        if disk is None:
            raise
        where = f" while writing {disk.filename}" if disk.filename else ""
        print(f"srctrace {argv[0]}: {disk.strerror}{where}: nothing half-written was kept; run again", file=sys.stderr)
        return 2
    return 0


def _check_code() -> None:
    """Refuse to be other code than the workflow's, where it runs in a container and says what it expects."""
    expected = os.environ.get("SRCTRACE_CODE")
    if not expected:
        return
    from srctrace.provenance import code_digest

    found = code_digest()
    if found != expected:
        raise UserError(
            f"this container image holds other code ({__version__}, {found}) than the workflow's ({expected}): build "
            "it again with `make containers`, or check out the version that the image is of"
        )


def _disk_error(error: BaseException | None) -> OSError | None:
    """The full, forbidden or read-only disk behind an error, if there is one: libraries wrap it in errors of theirs."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            return error
        error = error.__cause__ or error.__context__
    return None


@command("download", "download a data set: MLAAD, MCL-MLAAD, noise, protocol lists; see docs/data.md")
def _download(parser: argparse.ArgumentParser):
    from srctrace.download.catalogue import CATALOGUE

    parser.add_argument("name", choices=CATALOGUE)
    folders = ", ".join(dataset.folder for dataset in CATALOGUE.values())
    parser.add_argument("--to", type=Path, metavar="FOLDER", help=f"where it goes, instead of {folders}")
    parser.add_argument("--from", dest="mirror", default="", metavar="URL", help="a mirror: the same files, by name")

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.download.download import download

        download(CATALOGUE[arguments.name], arguments.to, arguments.mirror)

    return run


@command("fetch-weights", "have the weights of an SSL front-end: fetched, checked, pinned to a commit")
def _fetch_weights(parser: argparse.ArgumentParser):
    from srctrace.frontends.catalogue import CHECKPOINTS, MAIN, find

    parser.add_argument("checkpoint", help=f"name on the hub, folder, or one of {', '.join(CHECKPOINTS)}")
    parser.add_argument("--revision", default="", help="commit, tag or branch; default: as listed in docs/data.md")
    parser.add_argument("--out", type=Path, required=True, help="what exactly it is (JSON)")

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.frontends.weights import pin

        known = find(arguments.checkpoint)
        pin(arguments.checkpoint, arguments.revision or (known.revision if known else MAIN), arguments.out)

    return run


@command("speak", "speak the built-in corpus in one language")
def _speak(parser: argparse.ArgumentParser):
    from srctrace.corpora.builtin import BuiltinOptions, speak

    parser.add_argument("--language", required=True)
    parser.add_argument("--sources", nargs="+", required=True, help="in-set sources")
    parser.add_argument("--out-of-set", nargs="*", default=[], help="sources that are never trained on")
    parser.add_argument("--root", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--table", type=Path, required=True, help="table of what was spoken")
    parser.add_argument("--processes", type=at_least(int, 1), default=1)
    add_flags(parser, BuiltinOptions)

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.manifest import write_manifest

        options = from_flags(BuiltinOptions, arguments)
        rows = speak(
            arguments.language, arguments.sources, arguments.out_of_set, arguments.root, options, arguments.processes
        )
        write_manifest(arguments.table, rows)

    return run


@command("make-noise", "make the built-in noise bank, laid out as MUSAN and RIRS_NOISES are")
def _make_noise(parser: argparse.ArgumentParser):
    from srctrace.corpora.builtin import make_noise

    parser.add_argument("--root", type=Path, required=True, help="folder that gets musan/, rirs/ and noise.tsv")
    parser.add_argument("--seed", type=int, default=0, help="draws the noise bank")
    parser.add_argument("--processes", type=at_least(int, 1), default=1)
    return lambda arguments: make_noise(arguments.root, arguments.seed, arguments.processes)


@command("scan", "list a corpus's utterances in a manifest, and choose its sources")
def _scan(parser: argparse.ArgumentParser):
    from srctrace.corpora.scan import OF_TABLES, TYPES, scan

    parser.add_argument("--type", required=True, choices=TYPES)
    parser.add_argument("--root", type=Path, help="the corpus's folder; paths in the manifest are relative to it")
    parser.add_argument("--tables", type=Path, nargs="+", default=[], help=f"of {' and '.join(OF_TABLES)}: the tables")
    parser.add_argument("--languages", nargs="+", required=True)
    parser.add_argument("--sources", nargs="*", default=[], help="in-set sources; none: those of every language")
    parser.add_argument("--out-of-set", nargs="*", default=[])
    parser.add_argument("--split-lists", type=Path, help="lists of train, dev and eval: a folder or a file")
    parser.add_argument("--speaker-lists", type=Path, help="lists of speakers: a folder or a file")
    parser.add_argument("--out", type=Path, required=True, help="the manifest")
    parser.add_argument("--label-map", type=Path, required=True, help="the table of sources")

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.manifest import write_manifest, write_sources

        if arguments.type in OF_TABLES and not arguments.tables:
            raise UserError(f"--type {arguments.type}: needs --tables")
        if arguments.type not in OF_TABLES and not arguments.root:
            raise UserError(f"--type {arguments.type}: needs --root")
        rows, in_set, out_of_set = scan(
            arguments.type,
            arguments.root,
            arguments.tables,
            arguments.languages,
            arguments.sources,
            arguments.out_of_set,
            arguments.split_lists,
            arguments.speaker_lists,
        )
        write_manifest(arguments.out, rows)
        write_sources(arguments.label_map, in_set, out_of_set)

    return run


@command("decode", "decode one language's audio into a packed set of waveforms")
def _decode(parser: argparse.ArgumentParser):
    from srctrace.waves import pack_waves

    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--language", required=True)
    parser.add_argument("--root", type=Path, required=True, help="folder that paths are relative to")
    parser.add_argument("--seconds", type=at_least(float, 0.1), default=4.0)
    parser.add_argument("--seed", type=int, default=0, help="draws the offsets of crops")
    parser.add_argument("--threads", type=at_least(int, 1), default=1)
    parser.add_argument("--out", type=Path, required=True)

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.manifest import read_manifest

        rows = [row for row in read_manifest(arguments.manifest) if row["language"] == arguments.language]
        pack_waves(rows, arguments.root, arguments.out, arguments.seconds, arguments.seed, arguments.threads)

    return run


@command("embed-speakers", "compute a speaker embedding of every utterance of one language")
def _embed_speakers(parser: argparse.ArgumentParser):
    from srctrace.speakers.embed import embed_waves

    parser.add_argument("--waves", type=Path, required=True)
    parser.add_argument("--model", default="", help="name or path of an x-vector model; empty: statistics of LFCCs")
    _add_device(parser)
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: embed_waves(
        arguments.waves, arguments.out, arguments.model, arguments.device, arguments.threads
    )


@command("cluster-speakers", "cluster speaker embeddings: write pseudo-speakers into the manifest")
def _cluster_speakers(parser: argparse.ArgumentParser):
    from srctrace.speakers.cluster import ClusterOptions, cluster_speakers

    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--label-map", type=Path, required=True, help="the sources, in-set and out-of-set")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="one store per language (.npy)")
    parser.add_argument("--out", type=Path, required=True, help="the manifest with pseudo-speakers")
    parser.add_argument("--folder", type=Path, required=True, help="folder that gets clusters.tsv and quality.tsv")
    add_flags(parser, ClusterOptions)

    def run(arguments: argparse.Namespace) -> None:
        cluster_speakers(
            arguments.manifest,
            arguments.label_map,
            arguments.embeddings,
            arguments.out,
            arguments.folder,
            from_flags(ClusterOptions, arguments),
        )

    return run


@command("pack-noise", "decode noise and impulse responses into one bank, and split it")
def _pack_noise(parser: argparse.ArgumentParser):
    from srctrace.bank import pack_bank

    parser.add_argument("--musan", type=Path, required=True, help="folder with noise/, music/ and speech/")
    parser.add_argument("--rirs", type=Path, required=True, help="folder of impulse responses")
    parser.add_argument("--listing", type=Path, help="table of category and file: all that must be there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=at_least(int, 1), default=1)
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: pack_bank(
        arguments.musan, arguments.rirs, arguments.out, arguments.seed, arguments.threads, arguments.listing
    )


@command("split", "say who is in train, dev and eval; refuse leaks")
def _split(parser: argparse.ArgumentParser):
    from srctrace.protocol import COLUMNS, SplitOptions, assign, refuse_leaks

    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--waves", type=Path, nargs="+", required=True, help="indices of decoded audio")
    parser.add_argument("--sources", type=Path, required=True, help="the label map")
    parser.add_argument("--out", type=Path, required=True)
    add_flags(parser, SplitOptions)

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.manifest import read_manifest, read_sources
        from srctrace.tables import read_table, write_table

        sources, out_of_set = read_sources(arguments.sources)
        options = from_flags(SplitOptions, arguments)
        rows = assign(read_manifest(arguments.manifest), sources, options, out_of_set)
        digests = {
            row["utterance"]: row["digest"]
            for path in arguments.waves
            for row in read_table(path, ["utterance", "digest"])
        }
        if options.origin == "dealt":
            refuse_leaks(rows, str(arguments.manifest), digests)
        write_table(arguments.out, COLUMNS, rows)

    return run


@command("list-conditions", "write the split list of each condition")
def _list_conditions(parser: argparse.ArgumentParser):
    from srctrace.grid import Condition
    from srctrace.protocol import read_split, write_conditions

    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument(
        "--conditions",
        nargs="+",
        required=True,
        metavar="CONDITION",
        help="NAME=LANGUAGE,… and perhaps :seen-by=LANGUAGE,…, :unseen-by=LANGUAGE,… or :out-of-set",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder that gets NAME.tsv")

    def run(arguments: argparse.Namespace) -> None:
        conditions = [Condition.parse(text) for text in arguments.conditions]
        write_conditions(read_split(arguments.split), conditions, arguments.out)

    return run


@command("extract", "compute the LFCCs of every variant of one language")
def _extract(parser: argparse.ArgumentParser):
    from srctrace.frontends.lfcc import LfccOptions

    utterances = _add_utterances(parser)
    parser.add_argument("--threads", type=at_least(int, 1), default=1)
    parser.add_argument("--out", type=Path, required=True)
    add_flags(parser, LfccOptions)

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.features import pack_lfcc

        pack_lfcc(utterances(arguments), arguments.out, from_flags(LfccOptions, arguments), arguments.threads)

    return run


@command("extract-hidden", "hidden states of a frozen SSL model, of every variant of one language")
def _extract_hidden(parser: argparse.ArgumentParser):
    from srctrace.frontends.options import SslOptions

    utterances = _add_utterances(parser)
    _add_checkpoint(parser, required=True)
    parser.add_argument("--stored", choices=["float16", "float32"], default="float16", help="numbers that are stored")
    _add_device(parser)
    parser.add_argument("--out", type=Path, required=True)
    add_flags(parser, SslOptions)

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.frontends.frozen import pack_hidden
        from srctrace.frontends.ssl import read_pinned

        pack_hidden(
            utterances(arguments),
            read_pinned(arguments.checkpoint),
            arguments.layers,
            arguments.out,
            from_flags(SslOptions, arguments),
            arguments.stored,
            arguments.device,
            arguments.threads,
        )

    return run


@command("import-lfcc", "take the LFCCs that MCL-MLAAD's authors released, of one language")
def _import_lfcc(parser: argparse.ArgumentParser):
    from srctrace.corpora.mcl_mlaad import pack_released_lfcc
    from srctrace.frontends.lfcc import LfccOptions

    parser.add_argument("--root", type=Path, required=True, help="the corpus's folder")
    parser.add_argument("--language", required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", required=True, choices=VARIANTS)
    parser.add_argument("--seconds", type=at_least(float, 0.1), default=4.0)
    parser.add_argument("--out", type=Path, required=True)
    add_flags(parser, LfccOptions)

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.protocol import read_split

        pack_released_lfcc(
            arguments.root,
            arguments.language,
            {row["utterance"]: row["split"] for row in read_split(arguments.split)},
            arguments.out,
            from_flags(LfccOptions, arguments),
            arguments.variants,
            arguments.seconds,
        )

    return run


@command("pretrain", "pretrain a small wav2vec 2.0 on a corpus's training audio")
def _pretrain(parser: argparse.ArgumentParser):
    from srctrace.frontends.pretrain import PretrainOptions, pretrain

    parser.add_argument("--waves", type=Path, nargs="+", required=True, help="stores of decoded audio (.npy)")
    parser.add_argument("--split", type=Path, required=True, help="the corpus's split table")
    parser.add_argument("--seed", type=int, default=1)
    _add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    add_flags(parser, PretrainOptions)
    return lambda arguments: pretrain(
        arguments.waves,
        arguments.split,
        arguments.out,
        arguments.seed,
        from_flags(PretrainOptions, arguments),
        arguments.device,
        arguments.threads,
    )


@command("make-checkpoint", "make a small checkpoint with random weights, for tries and tests")
def _make_checkpoint(parser: argparse.ArgumentParser):
    from srctrace.frontends.tiny import ARCHITECTURES, make_checkpoint

    parser.add_argument("architecture", choices=ARCHITECTURES)
    parser.add_argument("--seed", type=int, default=0, help="draws the weights")
    parser.add_argument("--out", type=Path, required=True, help="its folder")

    return lambda arguments: make_checkpoint(arguments.architecture, arguments.out, arguments.seed)


@command("train", "train one system on one condition with one seed")
def _train(parser: argparse.ArgumentParser):
    from srctrace.frontends.options import SslOptions
    from srctrace.train import TrainOptions, train

    inputs = _add_inputs(parser)
    _add_checkpoint(parser, required=False)
    parser.add_argument("--split", type=Path, required=True, help="the train condition's split list")
    parser.add_argument("--system", required=True)
    parser.add_argument("--sizes", nargs="*", default=[], metavar="NAME=VALUE", help="sizes of the back-end")
    parser.add_argument("--sources", type=Path, required=True, help="the label map")
    parser.add_argument("--seed", type=int, default=1)
    _add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    add_flags(parser, TrainOptions)
    add_flags(parser, SslOptions)

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.manifest import read_sources

        with inputs(arguments) as open_inputs:
            train(
                open_inputs,
                arguments.split,
                arguments.out,
                arguments.system,
                _sizes(arguments.sizes),
                read_sources(arguments.sources)[0],
                arguments.seed,
                from_flags(TrainOptions, arguments),
                arguments.device,
                arguments.threads,
                _ssl_loader(arguments),
                from_flags(SslOptions, arguments),
            )

    return run


@command("score", "score one model on the test conditions")
def _score(parser: argparse.ArgumentParser):
    from srctrace.frontends.options import SslOptions
    from srctrace.score import score

    parser.add_argument("--model", type=Path, required=True)
    inputs = _add_inputs(parser)
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="the test conditions' split lists")
    parser.add_argument("--variants", nargs="+", required=True, choices=VARIANTS)
    _add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets one table per test condition")
    add_flags(parser, SslOptions)

    def run(arguments: argparse.Namespace) -> None:
        with inputs(arguments) as open_inputs:
            score(
                arguments.model,
                open_inputs,
                arguments.splits,
                arguments.variants,
                arguments.out,
                arguments.device,
                arguments.threads,
                from_flags(SslOptions, arguments),
            )

    return run


@command("measure", "metrics of one model, from its scores")
def _measure(parser: argparse.ArgumentParser):
    from srctrace.metrics import MODEL_COLUMNS, measure

    for column in MODEL_COLUMNS:
        parser.add_argument(f"--{column}", required=True, help=f"the model's {column}, for the tables")
    _add_cells(parser, "PROTOCOL/TEST")
    parser.add_argument("--scores", type=Path, required=True, help="folder with the scores of each test condition")
    parser.add_argument("--splits", type=Path, required=True, help="folder with their split lists")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the tables")
    return lambda arguments: measure(
        {column: getattr(arguments, column) for column in MODEL_COLUMNS},
        arguments.cells,
        arguments.scores,
        arguments.splits,
        arguments.out,
    )


@command("collect", "put the metrics, classes or confusion tables of all models into one")
def _collect(parser: argparse.ArgumentParser):
    from srctrace.metrics import CLASSES_COLUMNS, CONFUSION_COLUMNS, METRICS_COLUMNS, collect

    columns = {"metrics": METRICS_COLUMNS, "classes": CLASSES_COLUMNS, "confusion": CONFUSION_COLUMNS}
    parser.add_argument("kind", choices=sorted(columns))
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: collect(arguments.tables, columns[arguments.kind], arguments.out)


@command("summarise", "mean and deviation over seeds")
def _summarise(parser: argparse.ArgumentParser):
    from srctrace.metrics import METRICS_COLUMNS, SUMMARY_COLUMNS, summarise
    from srctrace.tables import read_table, write_table

    parser.add_argument("metrics", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: write_table(
        arguments.out, SUMMARY_COLUMNS, summarise(read_table(arguments.metrics, METRICS_COLUMNS))
    )


@command("compare", "which differences between the systems of a protocol mean something")
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


@command("audit", "trivial baselines, leaks and shortcuts of a protocol")
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


def _add_report_inputs(parser: argparse.ArgumentParser) -> Callable:
    """Flags for all that a report shows; returns what makes them into `ReportInputs`."""
    from dataclasses import fields

    from srctrace.report.inputs import ReportInputs

    several = ("histories", "baselines", "findings", "differences", "splits", "checkpoints")
    for field in fields(ReportInputs):
        many = {"nargs": "*", "default": []} if field.name in several else {}
        parser.add_argument(
            f"--{field.name}", type=Path, required=field.name not in (*several, "speakers", "benchmarks"), **many
        )
    return lambda arguments: ReportInputs(
        **{field.name: getattr(arguments, field.name) for field in fields(ReportInputs)}
    )


@command("plot", "draw the report's figures")
def _plot(parser: argparse.ArgumentParser):
    from srctrace.report.figures import write_figures

    inputs = _add_report_inputs(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets figures/")
    return lambda arguments: write_figures(inputs(arguments), arguments.out)


@command("report", "write the report: one page for a person")
def _report(parser: argparse.ArgumentParser):
    from srctrace.report.page import write_report

    inputs = _add_report_inputs(parser)
    parser.add_argument("--figures", type=Path, required=True, help="folder that `srctrace plot` wrote to")
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: write_report(inputs(arguments), arguments.figures, arguments.out)


@command("status", "how a run stands: what is done, under way and waiting, and what failed and why")
def _status(parser: argparse.ArgumentParser):
    from srctrace.status import report

    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="the run's working directory")
    return lambda arguments: print("\n".join(report(arguments.folder)))


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--threads", type=at_least(int, 1), default=1)


def _add_utterances(parser: argparse.ArgumentParser) -> Callable:
    """Flags for a language's utterances and their variants; returns what makes them into `Utterances`."""
    parser.add_argument("--waves", type=Path, required=True)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", required=True, choices=VARIANTS)
    parser.add_argument("--seed", type=int, default=0, help="draws the augmentation")

    def utterances(arguments: argparse.Namespace):
        from srctrace.features import Utterances
        from srctrace.protocol import read_split

        split_of = {row["utterance"]: row["split"].removesuffix("-unknown") for row in read_split(arguments.split)}
        return Utterances.open(arguments.waves, arguments.bank, split_of, arguments.variants, arguments.seed)

    return utterances


def _add_checkpoint(parser: argparse.ArgumentParser, required: bool) -> None:
    """Flags for an SSL model and what is used of it."""
    from srctrace.grid import LAST, WEIGHTED

    def layers(text: str) -> str | int:
        return text if text in (LAST, WEIGHTED) else int(text)

    parser.add_argument("--checkpoint", type=Path, required=required, help="what `srctrace fetch-weights` wrote of it")
    parser.add_argument("--layers", type=layers, default=LAST, help=f"{LAST}, {WEIGHTED} (all), or the number of one")


def _ssl_loader(arguments: argparse.Namespace) -> Callable | None:
    """What loads the SSL model that is to be fine-tuned; none where features are given."""
    if bool(arguments.waves) != bool(arguments.checkpoint):
        raise UserError("--waves and --checkpoint go together: what is fine-tuned is given waveforms")
    if not arguments.checkpoint:
        return None

    def load():
        from srctrace.frontends.ssl import load_encoder, read_pinned
        from srctrace.frontends.weights import locate

        pinned = read_pinned(arguments.checkpoint)
        return load_encoder(locate(pinned), pinned, arguments.layers)

    return load


def _add_inputs(parser: argparse.ArgumentParser) -> Callable:
    """Flags for what models are given; returns a context with what makes them into `trials.OpenInputs`."""
    from contextlib import contextmanager
    from functools import partial

    parser.add_argument("--features", type=Path, help="folder of feature stores")
    parser.add_argument(
        "--waves", type=Path, help="in place of features, for a fine-tuned SSL model: folder of waveforms"
    )
    parser.add_argument("--bank", type=Path, help="with --waves: noise for their variants")
    parser.add_argument("--noise-seed", type=int, default=0, help="with --waves: draws the noise, as for features")
    parser.add_argument(
        "--stage",
        default="",
        metavar="FOLDER",
        help="copy inputs to this folder of the node first, as '$TMPDIR', and remove them in the end",
    )

    @contextmanager
    def inputs(arguments: argparse.Namespace):
        from srctrace.staging import staging
        from srctrace.trials import FeatureSets, WaveSets

        if bool(arguments.features) == bool(arguments.waves) or bool(arguments.waves) != bool(arguments.bank):
            raise UserError("give --features, or --waves and --bank")
        with staging(arguments.stage) as staged:
            if arguments.features:
                yield partial(FeatureSets.open, arguments.features, staged=staged)
            else:
                yield partial(WaveSets.open, arguments.waves, arguments.bank, arguments.noise_seed, staged=staged)

    return inputs


def _add_cells(parser: argparse.ArgumentParser, form: str) -> None:
    """A flag for cells, each a pair of names."""

    def pair(text: str) -> tuple[str, str]:
        first, slash, second = text.partition("/")
        if not (first and slash and second):
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form {form}")
        return first, second

    parser.add_argument("--cells", type=pair, nargs="+", required=True, metavar=form)


def _sizes(pairs: Sequence[str]) -> dict[str, object]:
    """`width=16` to {"width": 16}: values are JSON."""
    import json

    sizes = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            sizes[name] = json.loads(value)
        except ValueError:
            raise UserError(f"--sizes {pair}: expected NAME=VALUE with a number, true or false as the value") from None
    return sizes
