"""What lies beside a model's weights and belongs to them: its decision, and the sources that were enrolled after."""

import json
from pathlib import Path

from srctrace.decision import read_model
from srctrace.files import atomic_path
from srctrace.sharing.contents import DECISION, ENROLLED

FILES = "files_sha256"  # of an enrolled source: path to digest


def copy_companions(model: Path, out: Path) -> None:
    """Copy them from the folder `model` to that of the same model as it is shared.

    They name the digest of the weights that they belong to, which is another where the description that it covers is
    another. Of the files that a source was enrolled from, the digests stay, without the paths.
    """
    before, after = (read_model(folder)["weights_sha256"] for folder in (model, out))
    for path in (model / DECISION, *sorted((model / ENROLLED).glob("[!.]*.safetensors"))):
        if path.is_file():
            with atomic_path(out / path.relative_to(model)) as temporary:
                temporary.write_bytes(_rebound(path.read_bytes(), before, after))


def _rebound(content: bytes, before: str, after: str) -> bytes:
    """A safetensors file with other metadata. Its header is edited in place: the library orders keys by chance."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    metadata = {key: value.replace(before, after) for key, value in header["__metadata__"].items()}
    if FILES in metadata:
        digests = json.loads(metadata[FILES])
        metadata[FILES] = json.dumps(sorted(digests.values() if isinstance(digests, dict) else digests))
    if metadata == header["__metadata__"]:
        return content
    text = json.dumps(header | {"__metadata__": metadata}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors are aligned
    return len(text).to_bytes(8, "little") + text + content[start:]
