"""Run the page: on loopback, until it is stopped."""

import errno
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from srctrace.errors import UserError
from srctrace.serving.app import make_app
from srctrace.serving.upload import Limits
from srctrace.tracing import Tracer

LOOPBACK = "127.0.0.1"


def serve(models: Sequence[Path], report: Path | None, limits: Limits, port: int, device: str) -> None:
    """Answer at `port` of loopback until Ctrl-C or SIGTERM.

    Args:
        models: folders of trained models; see `Tracer.load`.
        report: the page that `srctrace report` wrote; none if there is none.
        port: 0: one that is free.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UserError: the port cannot be had, or see `Tracer.load`.
    """
    with suppress(KeyboardInterrupt), listen(port) as listening, TemporaryDirectory(prefix="srctrace-") as folder:
        # uvicorn sends itself again the signal that ended it; either leads out of here, so that the folder is removed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        tracer = Tracer.load(models, device)
        config = uvicorn.Config(
            make_app(tracer, report, limits, Path(folder)),
            access_log=False,
            lifespan="off",
            log_config=None,  # errors alone, on standard error
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,  # s
            ws="none",
        )
        print(f"http://{LOOPBACK}:{listening.getsockname()[1]}/ (Ctrl-C stops it)", flush=True)
        uvicorn.Server(config).run(sockets=[listening])


def listen(port: int) -> socket.socket:
    """A socket that waits at a port of loopback.

    Raises:
        UserError: it cannot be had.
    """
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} is in use: stop what uses it, or name another with --port") from None
        raise UserError(f"port {port} cannot be had ({error.strerror}): name another with --port") from None
