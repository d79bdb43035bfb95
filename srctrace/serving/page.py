"""The page that a file is dropped to: one answer that loads nothing else."""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(model: Mapping, has_report: bool) -> tuple[str, str]:
    """The page, and the policy that it is served with.

    Args:
        model: what `/model` answers.
        has_report: whether there is a report to lead to.
    """
    templates = files("srctrace.serving") / "templates"
    style = "".join(
        path.read_text(encoding="utf-8")
        for path in (files("srctrace.report") / "templates" / "report.css", templates / "page.css")
    )
    script = (templates / "page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=PackageLoader("srctrace.serving"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.j2").render(
        model, has_report=has_report, style=Markup(style), script=Markup(script)
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}'; "
        "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _digest(text: str) -> str:
    """As a policy names what it allows."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
