"""Who may ask: programs of this machine and the page itself, not other web pages that its browser has open."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
READING = ("GET", "HEAD")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuse what another web page may be behind, before anything is read; set the headers that all answers have."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refused = _refusal(scope["method"], Headers(scope=scope))
        app = JSONResponse({"error": refused[1]}, refused[0]) if refused else self.app
        await app(scope, receive, send_guarded)


def _refusal(method: str, headers: Headers) -> tuple[int, str] | None:
    """Status and message; none if it may be answered."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        # A foreign name that leads to 127.0.0.1 would make its web page of one origin with this one.
        return 421, "this is answered at 127.0.0.1 and localhost alone: ask it by that name"
    if method in READING:
        return None
    here = f"http://{hosts[0]}".lower()
    ours = headers.get("origin", here).lower() == here  # programs send none
    if not ours or headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return 403, "asked by the web page of another origin: use the page that is served here"
    return None
