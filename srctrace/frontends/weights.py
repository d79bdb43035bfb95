"""Weights of SSL front-ends: fetched from the hub once, checked, pinned to a commit, and found again without network.

They lie in the cache that all programs of the hub share, in `HF_HOME`. `HF_ENDPOINT`, `HF_TOKEN`, `HTTPS_PROXY` and
`HF_HUB_OFFLINE` mean what they do for huggingface_hub, which does the fetching.
"""

import difflib
import errno
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import HfApi, constants, errors, snapshot_download

from srctrace.download.verify import digest_of
from srctrace.errors import UserError
from srctrace.files import atomic_path, require_space
from srctrace.frontends.catalogue import CHECKPOINTS, MAIN, find, is_hub_name
from srctrace.frontends.folder import (
    CARD,
    CONFIG,
    EXTRACTOR,
    checked_digest,
    describe,
    licence_of,
    needed_files,
    weights_among,
)

PAGES = "https://huggingface.co"
AGAIN = "snakemake --cores all -R fetch_checkpoint -- fetch_weights"
"""Looks at every checkpoint of a run again; models are not trained again where it is the same."""
COMMIT = re.compile(r"[0-9a-f]{40}")
OF_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)  # told apart by the command line
BY_HAND = f"{CONFIG} {EXTRACTOR} {CARD} model.safetensors pytorch_model.bin"


def pin(checkpoint: str, revision: str, out: Path) -> None:
    """Have a checkpoint here, whole and checked, and write what exactly it is to `out` (JSON, for `locate`).

    What is whole in the cache already is checked and taken without network.

    Args:
        checkpoint: front-end name of the catalogue, name on the hub, or folder.
        revision: commit, tag or branch. `main` is the commit that `out` has already, else the one that the cache has,
            else the newest. Folders have none.

    Raises:
        UserError: it cannot be had (the message has the steps by hand), is damaged, or is nothing that listens to
            speech at the sample rate of all audio here.
    """
    if is_hub_name(checkpoint):
        folder, licence = _on_hub(checkpoint, revision, out)
        commit = folder.name
    else:
        folder, commit = Path(checkpoint), None
        _require_finished(checkpoint)
        licence = licence_of(folder) or "not stated"
    described = describe(folder)
    pinned = {
        "checkpoint": checkpoint,
        "revision": commit,
        "files": {name: checked_digest(folder / name) for name in sorted(needed_files(folder))},
        **described,
        "licence": licence,
    }
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps(pinned, indent=1) + "\n")


def locate(pinned: Mapping) -> Path:
    """The folder of a pinned checkpoint, to be given to `from_pretrained`. Every file is checked; no network.

    Raises:
        UserError: a file is missing or is not the one that was pinned.
    """
    checkpoint, commit = pinned["checkpoint"], pinned["revision"]
    fetch = f"srctrace fetch-weights {shlex.quote(checkpoint)} {f'--revision {commit} ' if commit else ''}--out FILE"
    again = f"where there is internet, with the same HF_HOME: {AGAIN} (or: {fetch})"
    folder = _snapshot(_hub_name(checkpoint), commit) if commit else Path(checkpoint)
    for name, digest in pinned["files"].items():
        path = folder / name
        if not path.is_file():
            half = "its download has not finished" if path.is_symlink() else "missing"
            raise UserError(f"{path}: {half}: {again if commit else 'put the folder of the checkpoint there again'}")
        if f"sha256:{digest_of(path, 'sha256')}" != digest:
            raise UserError(
                f"{path}: not the file that was pinned ({digest}): delete {path.resolve()}, and {again}"
                if commit
                else f"{path}: not the file that was pinned ({digest}): put that file there again, or, if the change "
                f"is meant, pin it anew: {AGAIN}"
            )
    if set(needed_files(folder)) != set(pinned["files"]):  # transformers takes safetensors before others
        raise UserError(f"{folder}: has other weights than those that were pinned beside them: pin it anew: {again}")
    return folder


def _on_hub(checkpoint: str, revision: str, out: Path) -> tuple[Path, str]:
    """The folder in the cache of a checkpoint on the hub, whole, and its licence."""
    hub = _hub_name(checkpoint)
    if "/" not in hub:
        raise UserError(f"{checkpoint}: no known checkpoint: name one as OWNER/NAME, or a folder{_similar(hub)}")
    if revision == MAIN:
        revision = _held(checkpoint, out) or revision
    known = find(checkpoint)
    licence = known.licence if known else ""
    commit = _commit_in_cache(hub, revision)
    lacks = ""
    if commit:
        try:
            needed_files(_snapshot(hub, commit))
        except UserError as error:  # the network may have the rest
            lacks = str(error)
    if not commit or lacks:
        folder = _fetch(hub, revision, licence, lacks if commit and _snapshot(hub, commit).is_dir() else "")
    else:
        folder = _snapshot(hub, commit)
        print(f"{checkpoint}: {folder} is whole: nothing to fetch", flush=True)
    return folder, licence or licence_of(folder) or f"not stated: see {PAGES}/{hub}"


def _fetch(hub: str, revision: str, licence: str, lacks: str) -> Path:
    """Fetch what is needed of a checkpoint, and say before what it is; the folder in the cache."""
    try:
        info = HfApi().model_info(hub, revision=revision, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings}
        weights = weights_among(sizes)
        if not weights or CONFIG not in sizes:
            raise UserError(f"{PAGES}/{hub}: has no {CONFIG} with model.safetensors or pytorch_model.bin beside it")
        folder = Path(snapshot_download(hub, revision=revision, allow_patterns=[CONFIG, EXTRACTOR, CARD]))
        describe(folder)  # what will be refused is so before its gigabytes come
        _announce(hub, licence or licence_of(folder), sum(sizes[name] for name in weights), folder)
        return Path(snapshot_download(hub, revision=revision, allow_patterns=[CONFIG, EXTRACTOR, CARD, *weights]))
    except errors.GatedRepoError:
        raise UserError(
            f"{hub}: its owner wants to be asked: accept the conditions at {PAGES}/{hub}, and set HF_TOKEN to a token "
            "of your account"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{hub}: the hub has no such checkpoint, or it is private: then set HF_TOKEN{_similar(hub)}"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{hub}: has no revision {revision}: see {PAGES}/{hub}/commits/main") from None
    except (OSError, ValueError, RuntimeError, errors.HTTPError) as error:
        # ValueError: a web page where JSON should be; RuntimeError: hf_xet; HTTPError: a refused connection
        if getattr(error, "errno", None) in OF_DISK:
            raise
        offline = isinstance(error, errors.OfflineModeIsEnabled)
        reason = "HF_HUB_OFFLINE is set" if offline else (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(_cannot_be_had(hub, revision, reason, lacks)) from None


def _announce(hub: str, licence: str, size: int, folder: Path) -> None:
    print(f"{hub}: {PAGES}/{hub}")
    print(f"  licence: {licence or 'not stated: see its page'}")
    print(f"  to fetch: {size / 1e9:.1f} GB" if size >= 1e9 else f"  to fetch: {size / 1e6:.1f} MB")
    print(f"  goes to: {folder}", flush=True)
    require_space(folder, size)


def _cannot_be_had(hub: str, revision: str, reason: str, lacks: str) -> str:
    cache = _repository(hub)
    fetch = f"  hf download {hub} {BY_HAND} --revision {revision}"
    return "\n".join(
        [
            f"{hub}: cannot be fetched: {reason}",
            *([f"What is here of it is not whole: {lacks}"] if lacks else []),
            "Behind a proxy, set HTTPS_PROXY=http://HOST:PORT; HF_ENDPOINT names a mirror of the hub.",
            f"By hand: on a machine that reaches {PAGES}/{hub}, with huggingface_hub (pip install huggingface_hub):",
            fetch,
            "(one of the last two is enough, where there are both), then copy its cache here, with the links in it:",
            f"  rsync -a ~/.cache/huggingface/hub/{cache.name} HERE:{cache.parent.absolute()}/",
            "and run this again; or, in place of the cache, a folder:",
            f"{fetch} --local-dir {hub.rpartition('/')[2]}",
            "copied here with the .cache/ in it, which holds the checksums, and named by its path in the config.",
        ]
    )


def _similar(hub: str) -> str:
    """The names of the catalogue that are meant, perhaps."""
    name = hub.rpartition("/")[2]
    close = difflib.get_close_matches(name, CHECKPOINTS, n=3, cutoff=0.6)
    return f"; similar are {', '.join(CHECKPOINTS[found].hub for found in close)}" if close else ""


def _require_finished(checkpoint: str) -> None:
    folder = Path(checkpoint)
    if not folder.is_dir():
        raise UserError(f"{checkpoint}: no such folder{_similar(checkpoint)}")
    unfinished = next((folder / ".cache").rglob("*.incomplete"), None)
    if unfinished is not None:
        raise UserError(f"{unfinished}: the download by hand has not finished: run `hf download` again")


def _held(checkpoint: str, out: Path) -> str:
    """The commit of this checkpoint that was pinned before, if there is one."""
    try:
        before = json.loads(out.read_text())
        return before["revision"] if before["checkpoint"] == checkpoint else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _commit_in_cache(hub: str, revision: str) -> str:
    """The commit that a revision is, as far as the cache knows; else empty."""
    if COMMIT.fullmatch(revision):
        return revision
    try:
        return (_repository(hub) / "refs" / revision).read_text().strip()
    except OSError:
        return ""


def _hub_name(checkpoint: str) -> str:
    known = find(checkpoint)
    return known.hub if known else checkpoint


def _snapshot(hub: str, commit: str) -> Path:
    return _repository(hub) / "snapshots" / commit


def _repository(hub: str) -> Path:
    """Where the cache has a checkpoint: `blobs/`, `refs/` and `snapshots/COMMIT/`."""
    return Path(constants.HF_HUB_CACHE) / f"models--{hub.replace('/', '--')}"
