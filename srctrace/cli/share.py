"""Give models to others: as a folder or an archive, or by the Hugging Face hub."""

import argparse
from pathlib import Path

from srctrace.cli.commands import Commands

COMMANDS = Commands()


@COMMANDS.add("export", "export a model to share it: weights, a card, ONNX; see docs/sharing.md")
def _export(parser: argparse.ArgumentParser):
    _add_model(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder, or archive: FILE.tar.gz or FILE.zip")
    parser.add_argument("--onnx", action="store_true", help="also all that comes after the features, as ONNX")

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.sharing.export import export

        export(arguments.model, arguments.out, arguments.licence, arguments.onnx)

    return run


@COMMANDS.add("push", "export a model and upload it to the Hugging Face hub; see docs/sharing.md")
def _push(parser: argparse.ArgumentParser):
    _add_model(parser)
    parser.add_argument("name", help="OWNER/NAME on the hub; made if it is not there")
    parser.add_argument("--private", action="store_true", help="a new one is for those alone whom its owner lets in")

    def run(arguments: argparse.Namespace) -> None:
        from srctrace.sharing.hub import push

        commit = push(arguments.model, arguments.name, arguments.licence, arguments.private)
        print(f"{arguments.name}: commit {commit}")

    return run


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("--licence", default="other", help="of the weights, by its id on the hub, as cc-by-nc-4.0")
