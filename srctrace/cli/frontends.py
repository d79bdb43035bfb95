"""Compute features, and make the models that compute them."""

import argparse
from collections.abc import Callable
from pathlib import Path

from srctrace.cli.arguments import add_checkpoint, add_device
from srctrace.cli.commands import Commands
from srctrace.grid import VARIANTS
from srctrace.options import add_flags, at_least, from_flags

COMMANDS = Commands()


@COMMANDS.add("extract", "compute the LFCCs of every variant of one language")
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


@COMMANDS.add("extract-hidden", "hidden states of a frozen SSL model, of every variant of one language")
def _extract_hidden(parser: argparse.ArgumentParser):
    from srctrace.frontends.options import SslOptions

    utterances = _add_utterances(parser)
    add_checkpoint(parser, required=True)
    parser.add_argument("--stored", choices=["float16", "float32"], default="float16", help="numbers that are stored")
    add_device(parser)
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


@COMMANDS.add("import-lfcc", "take the LFCCs that MCL-MLAAD's authors released, of one language")
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


@COMMANDS.add("pretrain", "pretrain a small wav2vec 2.0 on a corpus's training audio")
def _pretrain(parser: argparse.ArgumentParser):
    from srctrace.frontends.pretrain import PretrainOptions, pretrain

    parser.add_argument("--waves", type=Path, nargs="+", required=True, help="stores of decoded audio (.npy)")
    parser.add_argument("--split", type=Path, required=True, help="the corpus's split table")
    parser.add_argument("--seed", type=int, default=1)
    add_device(parser)
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


@COMMANDS.add("make-checkpoint", "make a small checkpoint with random weights, for tries and tests")
def _make_checkpoint(parser: argparse.ArgumentParser):
    from srctrace.frontends.tiny import ARCHITECTURES, make_checkpoint

    parser.add_argument("architecture", choices=ARCHITECTURES)
    parser.add_argument("--seed", type=int, default=0, help="draws the weights")
    parser.add_argument("--out", type=Path, required=True, help="its folder")

    return lambda arguments: make_checkpoint(arguments.architecture, arguments.out, arguments.seed)


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
