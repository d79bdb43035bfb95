import pytest

from tests.download.server import serve


@pytest.fixture
def server(monkeypatch):
    """The server, reached without the proxy that this machine may have."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with serve() as running:
        yield running
