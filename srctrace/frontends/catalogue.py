"""OWNS the known checkpoints of SSL front-ends: where they are, which revision, under what licence.

Standard library only: the workflow imports it. A revision is a commit, so that every run everywhere has the same
weights; licences are those that the model cards state.
"""

import re
from dataclasses import dataclass
from pathlib import Path

MAIN = "main"
"""The revision of what is not listed here: the newest commit when it is first fetched, and that one from then on."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the Hugging Face hub.

    Attributes:
        name: of the front-end: the last part of the hub's name.
        hub: `owner/name`.
        revision: a commit.
        language: what it was fine-tuned on, where that is one language.
    """

    name: str
    hub: str
    revision: str
    licence: str
    language: str = ""


def _apache(hub: str, revision: str, language: str = "") -> Checkpoint:
    return Checkpoint(hub.rpartition("/")[2], hub, revision, "apache-2.0", language)


_XLSR = "jonatasgrosman/wav2vec2-large-xlsr-53-"

CHECKPOINTS = {
    checkpoint.name: checkpoint
    for checkpoint in (
        _apache("facebook/wav2vec2-large-lv60", "0cde644b64dac88d8416bec1c92a4099b850ba0b"),
        _apache("facebook/wav2vec2-xls-r-300m", "1a640f32ac3e39899438a2931f9924c02f080a54"),
        _apache("facebook/wav2vec2-large-xlsr-53", "c3f9d884181a224a6ac87bf8885c84d1cff3384f"),
        _apache(_XLSR + "english", "569a6236e92bd5f7652a0420bfe9bb94c5664080", "en"),
        _apache(_XLSR + "german", "4b8a02957378d0f2da2ef74091156b032c485a89", "de"),
        _apache(_XLSR + "french", "7c79e105a6525d38e1e69f640b974b4a679723cc", "fr"),
        _apache(_XLSR + "italian", "34215bb9c52de3eb53b46054fd1eba3aae8539c4", "it"),
        _apache(_XLSR + "polish", "6b1cea36bd8bc5f65ec8081667cd9c0207d51970", "pl"),
        _apache(_XLSR + "russian", "2329100508896c6d9b157019803ab5601e6f3406", "ru"),
    )
}
"""By front-end name."""

MATCHED = {
    "xlsr-53-matched": {
        checkpoint.language: checkpoint.name for checkpoint in CHECKPOINTS.values() if checkpoint.language
    }
}
"""Front-ends that are another checkpoint for each training language: name, language -> front-end of that language."""

MIXED = {"xlsr-53-matched": "wav2vec2-large-xlsr-53"}
"""The front-end of a matched one where training is in several languages: what the others were fine-tuned from."""

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"  # no name begins or ends with a dot or dash
_HUB_NAME = re.compile(rf"{_PART}(?:/{_PART})?")


def is_hub_name(text: str) -> bool:
    """Whether this is the name of a checkpoint, `name` or `owner/name`; else it is the path of a folder.

    A folder that exists here is meant before a name; `./x`, `/x` and `a/b/c` are paths in any case.
    """
    fits = _HUB_NAME.fullmatch(text) and "--" not in text and ".." not in text
    return bool(fits) and not Path(text).exists()


def find(name: str) -> Checkpoint | None:
    """The listed checkpoint of this front-end name or hub name, if there is one."""
    return CHECKPOINTS.get(name) or next((found for found in CHECKPOINTS.values() if found.hub == name), None)
