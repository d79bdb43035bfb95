"""Train systems, and score test conditions with them."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from srctrace.cli.arguments import add_checkpoint, add_device
from srctrace.cli.commands import Commands
from srctrace.errors import UserError
from srctrace.grid import VARIANTS
from srctrace.options import add_flags, from_flags

COMMANDS = Commands()


@COMMANDS.add("train", "train one system on one condition with one seed")
def _train(parser: argparse.ArgumentParser):
    from srctrace.frontends.options import SslOptions
    from srctrace.train import TrainOptions, train

    inputs = _add_inputs(parser)
    add_checkpoint(parser, required=False)
    parser.add_argument("--split", type=Path, required=True, help="the train condition's split list")
    parser.add_argument("--system", required=True)
    parser.add_argument("--sizes", nargs="*", default=[], metavar="NAME=VALUE", help="sizes of the back-end")
    parser.add_argument("--sources", type=Path, required=True, help="the label map")
    parser.add_argument("--corpus", default="", help="its name, kept with the model")
    parser.add_argument("--seed", type=int, default=1)
    add_device(parser)
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
                arguments.corpus,
            )

    return run


@COMMANDS.add("score", "score one model on the test conditions")
def _score(parser: argparse.ArgumentParser):
    from srctrace.frontends.options import SslOptions
    from srctrace.score import Lists, score

    parser.add_argument("--model", type=Path, required=True)
    inputs = _add_inputs(parser)
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="the test conditions' split lists")
    parser.add_argument("--fit", type=Path, required=True, help="the train condition's split list: its train and dev")
    parser.add_argument("--unknown", type=Path, help="split list with out-of-set sources")
    parser.add_argument("--variants", nargs="+", required=True, choices=VARIANTS)
    add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder that gets one table per test condition")
    parser.add_argument("--embeddings", type=Path, required=True, help="store of embeddings and logits (.npy)")
    add_flags(parser, SslOptions)

    def run(arguments: argparse.Namespace) -> None:
        with inputs(arguments) as open_inputs:
            score(
                arguments.model,
                open_inputs,
                Lists(arguments.splits, arguments.fit, arguments.unknown),
                arguments.variants,
                arguments.out,
                arguments.embeddings,
                arguments.device,
                arguments.threads,
                from_flags(SslOptions, arguments),
            )

    return run


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
