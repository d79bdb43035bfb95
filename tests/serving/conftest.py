"""One server for all tests of a file: with a report, and files in a folder of its own."""

from pathlib import Path

import pytest

from tests.serving.making import decided_model, running


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return decided_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    report = folder / "report.html"
    report.write_text("<!DOCTYPE html><title>A report</title><script>1</script>")
    with running(model, folder / "files", report) as found:
        yield found
