"""What a data set on the Hugging Face hub consists of, with sizes and digests."""

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

from srctrace.download.catalogue import HUB, File
from srctrace.download.fetch import Host, Patience, RefusedError
from srctrace.errors import UserError

DOWNLOADED = Path(".cache") / "huggingface" / "download"  # where `hf download --local-dir` notes what it fetched


def hub_host(mirror: str, patience: Patience) -> tuple[Host, str]:
    """A host for the hub and its address: the mirror's, that of HF_ENDPOINT, or the hub's own.

    The user's HF_TOKEN goes to no mirror.
    """
    token = "" if mirror else os.environ.get("HF_TOKEN", "")
    endpoint = (mirror or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    return Host(patience, {"Authorization": f"Bearer {token}"} if token else None), endpoint


def list_files(host: Host, endpoint: str, repository: str) -> tuple[list[File], str]:
    """Files of the newest version of a data set, and that version.

    Raises:
        HostError: the hub cannot be reached, or its answer makes no sense.
    """
    api = f"{endpoint}/api/datasets/{repository}"
    try:
        version = host.json(f"{api}/revision/main")[0]["sha"]
        page = f"{api}/tree/{version}?recursive=true"
        files = []
        while page:
            entries, following = host.json(page)
            files += [
                File(
                    entry["path"],
                    f"{endpoint}/datasets/{repository}/resolve/{version}/{quote(entry['path'])}",
                    entry["size"],
                    f"sha256:{entry['lfs']['oid']}" if entry.get("lfs") else f"git-sha1:{entry['oid']}",
                )
                for entry in entries
                if entry["type"] == "file"
            ]
            # A mirror may pass on the hub's own address here.
            page = f"{api}/tree/{version}?{urlsplit(following).query}" if following else ""
    except (KeyError, TypeError):
        raise RefusedError(f"{api}: not the answer that the hub gives") from None
    if not files:
        raise RefusedError(f"{api}: the data set has no files")
    return files, version


def list_downloaded(folder: Path) -> list[File]:
    """Files that `hf download --local-dir` put into a folder, with the digests that it noted; none if there are none.

    Raises:
        UserError: it has not finished.
    """
    notes = folder / DOWNLOADED
    unfinished = next(notes.rglob("*.incomplete"), None)
    if unfinished is not None:
        raise UserError(f"{unfinished}: the download by hand has not finished: run `hf download` again")
    files = []
    for note in sorted(notes.rglob("*.metadata")):
        name = note.relative_to(notes).as_posix().removesuffix(".metadata")
        digest = [*note.read_text().split(), "", ""][1]
        kind = {40: "git-sha1", 64: "sha256"}.get(len(digest))
        if kind is None or not (folder / name).is_file():
            raise UserError(f"{folder / name}: missing, or noted without a checksum: run `hf download` again")
        files.append(File(name, "", None, f"{kind}:{digest}"))
    return files
