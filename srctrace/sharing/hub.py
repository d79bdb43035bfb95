"""Models on the Hugging Face hub: pushed there, and had from there by name.

The hub's own client does it: `HF_TOKEN`, `HF_HOME`, `HF_ENDPOINT`, `HF_HUB_OFFLINE` and `HTTPS_PROXY` mean what they do
for it, and what was fetched lies in the cache that all programs of the hub share.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, errors, snapshot_download
from huggingface_hub.utils import validate_repo_id

from srctrace.errors import UserError
from srctrace.frontends.catalogue import MAIN
from srctrace.frontends.weights import OF_DISK, PAGES
from srctrace.sharing.contents import FORMS, ONNX, TO_LOAD
from srctrace.sharing.export import write_folder


def fetch(name: str, revision: str) -> Path:
    """The folder of the model `OWNER/NAME` in the cache, fetched if need be; its commit is said on standard error.

    Args:
        revision: commit, tag or branch; empty: the newest, or, where the hub is out of reach, the newest that was
            fetched.

    Raises:
        UserError: it cannot be had.
    """
    with _explained(name, "fetched", revision or MAIN):
        folder = Path(snapshot_download(name, revision=revision or None, allow_patterns=list(TO_LOAD)))
    print(f"{name}: commit {folder.name}", file=sys.stderr, flush=True)
    return folder


def push(model: Path, name: str, licence: str, private: bool = False) -> str:
    """Export the model in a folder and upload it as `OWNER/NAME`, in one commit; what it replaces is removed in it.

    Args:
        licence: see `export`.
        private: for those alone whom its owner lets in, where the repository is new.

    Returns:
        The commit.

    Raises:
        UserError: the name is none, the model cannot be exported, or the hub cannot be reached or refuses.
    """
    try:
        validate_repo_id(name if "/" in name else "")
    except ValueError:
        raise UserError(f"{name}: no name on the hub: give OWNER/NAME") from None
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_folder(model, folder, licence, address=name)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        with _explained(name, "pushed", MAIN):
            api = HfApi()
            api.create_repo(name, private=private or None, exist_ok=True)
            ours = [path for path in api.list_repo_files(name) if any(fnmatch(path, of) for of in (*TO_LOAD, ONNX))]
            commit = api.create_commit(
                name,
                [CommitOperationAdd(path, str(files[path])) for path in sorted(files)]
                + [CommitOperationDelete(path) for path in ours if path not in files],
                commit_message="srctrace push",
            )
    return commit.oid


@contextmanager
def _explained(name: str, done: str, revision: str) -> Iterator[None]:
    """The hub's refusals and the network's failures as what they mean to a person."""
    owner = name.partition("/")[0]
    try:
        yield
    except errors.RevisionNotFoundError:
        raise UserError(f"{name}: has no revision {revision}: see {PAGES}/{name}/commits/main") from None
    except (OSError, ValueError, RuntimeError, errors.HTTPError) as error:
        # ValueError: a web page where JSON should be; RuntimeError: an upload, hf_xet; HTTPError: a refused connection
        if getattr(error, "errno", None) in OF_DISK:
            raise
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.GatedRepoError):
            what = f"its owner wants to be asked: accept the conditions at {PAGES}/{name}, and set HF_TOKEN"
        elif done == "fetched" and isinstance(error, errors.RepositoryNotFoundError):
            what = f"no folder here, and no model on the hub, or a private one: then set HF_TOKEN; give {FORMS}"
        elif status == 401:
            what = (
                f"the hub does not know you: set HF_TOKEN to a token that may write (see {PAGES}/settings/tokens), or "
                "run `hf auth login`"
            )
        elif status == 403:
            what = f"the hub refuses: your token must be one that may write, and you a member of {owner}"
        elif status == 404:
            what = f"the hub has no owner {owner}: see {PAGES}/{owner}"
        else:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            if constants.HF_HUB_OFFLINE:
                reason = "HF_HUB_OFFLINE is set"
            other = f"hf download {name} --local-dir FOLDER" if done == "fetched" else f"hf upload {name} FOLDER"
            before = "" if done == "fetched" else "`srctrace export` it, and "
            what = (
                f"{reason}: behind a proxy, set HTTPS_PROXY; HF_ENDPOINT names a mirror; or {before}on a machine that "
                f"reaches {PAGES}, run `{other}`"
            )
        raise UserError(f"{name}: cannot be {done}: {what}") from None
