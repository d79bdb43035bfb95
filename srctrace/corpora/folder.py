"""A corpus that is a folder `language/source/…/*.wav`; speakers and texts are not known."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from srctrace.audio import SUFFIXES
from srctrace.errors import UserError
from srctrace.grid import BONA_FIDE
from srctrace.manifest import Row, new_row


def scan_folder(root: str | os.PathLike, languages: Iterable[str]) -> list[Row]:
    """Utterances of a folder, in a fixed order.

    The utterance id is the path without its suffix.

    Raises:
        UserError: the folder or a language's folder is missing, or holds no audio.
    """
    root = Path(root)
    require_folder(root)
    rows = []
    for language in languages:
        folder = root / language
        if not folder.is_dir():
            raise UserError(
                f"{folder}: no folder for language {language!r}; languages found in {root}: {folders(root)}"
            )
        found = sorted(files_in(str(folder), SUFFIXES))
        if not found:
            raise UserError(f"{folder}: no audio files ({', '.join(SUFFIXES)}) in it")
        sources: dict[str, str] = {}
        for path in found:
            source, _, rest = path.partition("/")
            if not rest:
                raise UserError(
                    f"{folder / path}: expected {root}/LANGUAGE/SOURCE/…: this file lies outside a source's folder"
                )
            source = sources.setdefault(source, source)
            rows.append(new_row(f"{language}/{os.path.splitext(path)[0]}", f"{language}/{path}", language, source))
    return rows


def scan_bona_fide(root: str | os.PathLike, languages: Iterable[str]) -> list[Row]:
    """Real speech in a folder `language/…/*.wav`, as utterances of the out-of-set source `bona-fide`.

    A language's folder may have a region behind its name, as M-AILABS has (`de_DE`). Paths are absolute: the folder is
    beside the corpus. A language may have none.

    Raises:
        UserError: the folder is missing, or holds no audio of any of the languages.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root}: no such folder: set corpus.bona_fide in the config to one of LANGUAGE/…/*.wav")
    rows = []
    for language in languages:
        for folder in [*sorted(root.glob(f"{language}_*")), root / language]:
            for path in sorted(files_in(str(folder), SUFFIXES)) if folder.is_dir() else ():
                utterance = f"{language}/{BONA_FIDE}/{folder.name}/{os.path.splitext(path)[0]}"
                rows.append(new_row(utterance, str(folder / path), language, BONA_FIDE))
    if not rows:
        raise UserError(
            f"{root}: no audio files ({', '.join(SUFFIXES)}) of {', '.join(languages)}; folders found: {folders(root)}"
        )
    return rows


def files_in(folder: str, suffixes: tuple[str, ...], prefix: str = "") -> Iterator[str]:
    """Paths, relative to `folder`, of the files below it with one of `suffixes` (in lower case), in no order.

    A million files: `os.scandir` asks the disk once per folder.
    """
    with os.scandir(folder) as entries:
        below = []
        for entry in entries:
            if entry.name.lower().endswith(suffixes):
                yield prefix + entry.name
            elif entry.is_dir():
                below.append(entry.name)
    for name in below:
        yield from files_in(f"{folder}/{name}", suffixes, f"{prefix}{name}/")


def require_folder(root: Path) -> None:
    """Refuse a corpus that is not there."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder: set corpus.path in the config to the corpus's root")


def folders(root: Path) -> str:
    """The names of the folders in `root`, for a message."""
    return ", ".join(sorted(child.name for child in root.iterdir() if child.is_dir())) or "none"
