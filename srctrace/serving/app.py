"""What is answered at which address.

`/` the page; `/report` the report, if there is one; `/model` what a trace rests on, as JSON; `POST /trace` traces the
audio that is its body, or the file of a form, as JSON. Every error is JSON, `{"error": message}`.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from srctrace.errors import UserError
from srctrace.serving.guard import Guard
from srctrace.serving.page import render
from srctrace.serving.upload import Limits, received, require_short_audio
from srctrace.tracing import Tracer
from srctrace.tracing.result import Trace

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(tracer: Tracer, report: Path | None, limits: Limits, folder: Path) -> ASGIApp:
    """The application.

    Args:
        report: the page that `srctrace report` wrote; none if there is none.
        folder: where files are while they are traced.
    """
    model = {
        "sources": tracer.sources,
        "enrolled": tracer.enrolled,
        "threshold": tracer.threshold,
        "limits": asdict(limits),
        "basis": tracer.basis,
    }
    html, policy = render(model, report is not None)

    async def page(_: Request) -> Response:
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    async def basis(_: Request) -> Response:
        return JSONResponse(model)

    async def whole_report(_: Request) -> Response:
        if not report.is_file():
            raise HTTPException(404, "the report was removed: run the workflow again")
        # What it may load is in the page itself.
        headers = {"Content-Security-Policy": "frame-ancestors 'none'"}
        return FileResponse(report, media_type="text/html", headers=headers)

    routes = [
        Route("/", page),
        Route("/model", basis),
        Route("/trace", _tracing(tracer, limits, folder), methods=["POST"]),
    ]
    if report:
        routes.append(Route("/report", whole_report))
    # Around all, since Starlette answers a fault outside of its own middleware.
    return Guard(Starlette(routes=routes, exception_handlers={HTTPException: _explain, 500: _explain_fault}))


def _tracing(tracer: Tracer, limits: Limits, folder: Path) -> Endpoint:
    turn = asyncio.Lock()  # one trace has all cores, or the GPU, to itself

    def trace_file(path: Path) -> Trace:
        return next(tracer.trace([path]))

    async def trace(request: Request) -> Response:
        try:
            async with received(request, limits, folder) as path:
                await asyncio.to_thread(require_short_audio, path, limits)
                found = await _unless_gone(request, turn, trace_file, path)
        except ClientDisconnect:
            return Response(status_code=400)  # to nobody
        except asyncio.CancelledError:
            return _error(503, "stopped by who runs this")
        except UserError as error:
            return _error(503, str(error))
        if found.error:
            return _error(422, found.error.removeprefix(f"{path}: "))
        return JSONResponse(_answer(found, tracer.basis))

    return trace


async def _unless_gone(request: Request, turn: asyncio.Lock, trace_file: Callable[[Path], Trace], path: Path) -> Trace:
    """What is found of a file, once it has its turn; given up where who asked is gone, or this is being stopped.

    Raises:
        ClientDisconnect: who asked is gone.
        UserError: memory is not enough.
    """

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.create_task(disconnected())
    try:
        async with turn:
            if gone.done():
                raise ClientDisconnect
            work = asyncio.create_task(asyncio.to_thread(trace_file, path))
            try:
                await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    raise ClientDisconnect
                return work.result()
            finally:
                if not work.done():
                    # A thread cannot be stopped. This one finds the end of its file, and is through.
                    os.truncate(path, 0)
                    await asyncio.wait({work})
    finally:
        gone.cancel()


def _answer(found: Trace, basis: dict) -> dict:
    """As `srctrace trace --json` has it, without file and error, and with whether a segment differs from the whole."""
    fields = asdict(found)
    for unwanted in ("file", "error"):
        del fields[unwanted]
    return fields | {
        "ranking": [{"source": name, "probability": value} for name, value in found.ranking],
        "segments": [asdict(segment) | {"differs": segment.differs(found)} for segment in found.segments],
        "basis": basis,
    }


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


async def _explain(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _explain_fault(*_) -> Response:
    return _error(500, "a fault of srctrace's: what went wrong is in the terminal that it was started from")
