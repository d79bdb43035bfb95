"""Pack audio and noise; tell speakers apart."""

import argparse
from pathlib import Path

from srctrace.cli.arguments import add_device
from srctrace.cli.commands import Commands
from srctrace.options import add_flags, at_least, from_flags

COMMANDS = Commands()


@COMMANDS.add("decode", "decode one language's audio into a packed set of waveforms")
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


@COMMANDS.add("embed-speakers", "compute a speaker embedding of every utterance of one language")
def _embed_speakers(parser: argparse.ArgumentParser):
    from srctrace.speakers.embed import embed_waves

    parser.add_argument("--waves", type=Path, required=True)
    parser.add_argument("--model", default="", help="name or path of an x-vector model; empty: statistics of LFCCs")
    add_device(parser)
    parser.add_argument("--out", type=Path, required=True)
    return lambda arguments: embed_waves(
        arguments.waves, arguments.out, arguments.model, arguments.device, arguments.threads
    )


@COMMANDS.add("cluster-speakers", "cluster speaker embeddings: write pseudo-speakers into the manifest")
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


@COMMANDS.add("pack-noise", "decode noise and impulse responses into one bank, and split it")
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
