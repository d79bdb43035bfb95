"""The page that a file is dropped to: one answer that loads nothing else."""

from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from srctrace.report.embed import policy_digest


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
        f"default-src 'none'; style-src 'sha256-{policy_digest(style)}'; script-src 'sha256-{policy_digest(script)}'; "
        "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy
