"""Reports of made-up runs, each made once."""

from collections.abc import Callable

import pytest

from tests.report.made_up_run import Size
from tests.report.making import Report, make_report


@pytest.fixture(scope="session")
def report_of(tmp_path_factory) -> Callable[[Size], Report]:
    """The report on a run of some size."""
    made: dict[Size, Report] = {}

    def report(size: Size) -> Report:
        if size not in made:
            made[size] = make_report(tmp_path_factory.mktemp("report"), size)
        return made[size]

    return report
