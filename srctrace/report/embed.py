"""What is inside a page: figures, and how its policy names styles and scripts."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from srctrace.errors import UserError


@dataclass(frozen=True)
class Figure:
    """A figure inside the page."""

    data: Markup  # a data: address
    width: int
    height: int
    alt: str
    caption: str


def policy_digest(text: str) -> str:
    """A style or a script, as a content security policy names what it allows: base64 of its SHA-256."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embed(path: Path, alt: str, caption: str) -> Figure:
    """A figure as a data: address: shown as an image, it cannot touch the page's styles or ids, nor run anything."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such figure: write the figures first") from None
    head = content[:2000].decode(errors="replace")
    width, height = (float(part) for part in head.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split())
    address = "data:image/svg+xml;base64," + base64.b64encode(content).decode()
    return Figure(Markup(address), round(width / 0.75), round(height / 0.75), alt, caption)
