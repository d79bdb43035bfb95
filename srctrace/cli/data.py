"""Have the data: corpora, noise, and weights of SSL front-ends."""

import argparse
from pathlib import Path

from srctrace.cli.commands import Commands
from srctrace.errors import UserError
from srctrace.options import add_flags, at_least, from_flags

COMMANDS = Commands()


@COMMANDS.add("download", "download a data set: MLAAD, MCL-MLAAD, noise, protocol lists; see docs/data.md")
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


@COMMANDS.add("fetch-weights", "have the weights of an SSL front-end: fetched, checked, pinned to a commit")
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


@COMMANDS.add("speak", "speak the built-in corpus in one language")
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


@COMMANDS.add("make-noise", "make the built-in noise bank, laid out as MUSAN and RIRS_NOISES are")
def _make_noise(parser: argparse.ArgumentParser):
    from srctrace.corpora.builtin import make_noise

    parser.add_argument("--root", type=Path, required=True, help="folder that gets musan/, rirs/ and noise.tsv")
    parser.add_argument("--seed", type=int, default=0, help="draws the noise bank")
    parser.add_argument("--processes", type=at_least(int, 1), default=1)
    return lambda arguments: make_noise(arguments.root, arguments.seed, arguments.processes)


@COMMANDS.add("scan", "list a corpus's utterances in a manifest, and choose its sources")
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
    parser.add_argument("--bona-fide", type=Path, help="folder of real speech, LANGUAGE/…/*.wav: never trained on")
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
            arguments.bona_fide,
        )
        write_manifest(arguments.out, rows)
        write_sources(arguments.label_map, in_set, out_of_set)

    return run
