"""What a person names a model by."""

from pathlib import Path

from srctrace.errors import UserError
from srctrace.frontends.catalogue import is_hub_name
from srctrace.sharing.contents import FORMS, require_model


def resolve(model: str) -> Path:
    """The folder of a model: one that is here, or that of `OWNER/NAME[@REVISION]` on the hub, fetched if need be.

    A folder that exists is meant before a name.

    Raises:
        UserError: it is neither; it cannot be had; or what is there is no model.
    """
    folder = Path(model)
    if not folder.exists():
        name, _, revision = model.partition("@")
        if "/" not in name or not is_hub_name(name):
            raise UserError(f"{model}: no such folder, and no name on the hub: give {FORMS}")
        from srctrace.sharing.hub import fetch  # noqa: PLC0415 - a folder needs no client of the hub

        folder = fetch(name, revision)
    require_model(folder)
    return folder
