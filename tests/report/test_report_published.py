"""The paper's figures stand beside a run on the paper's corpus, and beside no other."""

import csv
from dataclasses import replace

import pytest

from srctrace.report.inputs import ReportData
from srctrace.report.published import FIGURE_4, beside
from tests.report.page_parser import Page
from tests.report.sizes import PAPERS


@pytest.fixture
def data(report_of) -> ReportData:
    return ReportData(report_of(PAPERS).inputs)


def test_every_published_figure_has_this_run_s_beside_it(data):
    pairs = beside(data.config, data.cells)
    with FIGURE_4.open(newline="") as file:
        published = {
            (row["system"], row["train_family"], row["test_family"]): float(row["macro_f1_percent"])
            for row in csv.DictReader(file)
        }
    assert len(published) == 27
    assert {(p.system, p.train, p.test) for p in pairs} == {key for key in published if key[0] in PAPERS.systems}
    for pair in pairs:
        assert 100 * pair.published == pytest.approx(published[pair.system, pair.train, pair.test])
        assert (pair.here.system, pair.here.train, pair.here.test) == (pair.system, pair.train, pair.test)
        assert pair.here.variant == pair.variant == "all"
        assert f"{pair.here.n_trials} trials, not 4200" in pair.differs
        assert "batch 32, not 64" in pair.differs
        assert "epoch kept by dev macro_f1, not loss" in pair.differs
        assert "mended: noise, music and babble each from their own files" in pair.differs


def test_the_ssl_system_is_compared_on_clean_trials(data):
    config = data.config | {"systems": ["wav2vec2-xls-r-300m-aasist"]}
    cells = [
        replace(cell, system="wav2vec2-xls-r-300m-aasist") for cell in data.cells if cell.system == "lfcc-resnet18"
    ]
    pairs = beside(config, cells)
    assert len(pairs) == 9
    assert {pair.here.variant for pair in pairs} == {"clean"}
    assert all("not 840" in pair.differs for pair in pairs)
    assert all("learning rate of SSL weights 2e-05, not 0.0005; batch 16, not 4" in pair.differs for pair in pairs)


@pytest.mark.parametrize(
    "changed", [{"corpus": {"name": "builtin"}}, {"families": {"germanic": ["en", "de"], "others": ["fr", "it"]}}]
)
def test_nothing_is_published_of_other_runs(data, changed):
    assert beside(data.config | changed, data.cells) == []


def test_the_page_shows_them(report_of):
    text = Page(report_of(PAPERS).html).text
    assert "Beside the published figures" in text
    assert "lfcc-ecapa-tdnn germanic → romance all 91.5" in text
