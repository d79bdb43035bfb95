"""Tables of unknown sources, calibration and few shots."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from srctrace.errors import UserError
from srctrace.openset.table import OPENSET_COLUMNS
from srctrace.report import calibration, openset
from srctrace.report.detection import mean_curve
from srctrace.report.fewshot import fewshot_table
from srctrace.report.inputs import ReportData
from srctrace.report.rates import means, number
from srctrace.tables import read_table, write_table
from tests.report.made_up_findings import METHODS
from tests.report.sizes import EVERY_PROTOCOL


@pytest.fixture(scope="module")
def data(report_of):
    return ReportData(report_of(EVERY_PROTOCOL).inputs)


def test_means_pass_over_what_is_not_there():
    rows = [{"a": "x", "n": "1"}, {"a": "x", "n": "3"}, {"a": "x", "n": "nan"}, {"a": "y", "n": ""}]
    assert means(rows, lambda row: (row["a"],), ["n"]) == {("x",): {"n": 2.0}, ("y",): {"n": None}}
    with pytest.raises(UserError, match="'much' is not a number"):
        number("much")


def test_methods_are_means_within_and_across_languages(data):
    lines = openset.by_method(data)
    assert [(line.system, line.name) for line in lines] == [
        (system, method) for system in EVERY_PROTOCOL.systems for method in METHODS
    ]
    rows = [
        float(row["auroc"])
        for row in read_table(data.inputs.openset, OPENSET_COLUMNS)
        if (row["system"], row["method"], row["unknown"]) == ("lfcc-resnet18", "knn", "all")
        and row["train"] == row["test"]
    ]
    line = next(line for line in lines if (line.system, line.name) == ("lfcc-resnet18", "knn"))
    assert len(rows) == 3
    assert line.rates["mono-lingual"]["auroc"] == pytest.approx(np.mean(rows), abs=1e-6)
    assert line.rates["cross-lingual"]["auroc"] < line.rates["mono-lingual"]["auroc"]


def test_other_tables_are_of_the_method_that_models_decide_by(data):
    assert openset.leading_method(data) == "mahalanobis++"
    assert [line.name for line in openset.by_unknown(data)[:2]] == ["klatt4", "world"]
    assert [line.name for line in openset.by_language(data)[:3]] == ["en", "de", "fr"]


def test_test_languages_are_what_they_are_to_the_training(data):
    assert data.crossing("en", "en") == "mono-lingual"
    assert data.crossing("en", "de") == "cross-lingual"
    assert data.crossing("without-de", "de") == "cross-lingual"
    assert data.crossing("without-de", "en") == "one of several languages"
    with pytest.raises(UserError, match="no condition 'xx'"):
        data.crossing("xx", "en")


def test_error_curves_keep_known_points():
    curve = np.array([[0.0, 0.1, 0.5, 1.0], [1.0, 0.3, 0.1, 0.0]])
    along, rejected = mean_curve([curve, curve])
    assert np.interp(0.1, ndtr(along), ndtr(rejected)) == pytest.approx(0.3, abs=0.02)
    assert np.interp(0.5, ndtr(along), ndtr(rejected)) == pytest.approx(0.1, abs=0.02)
    assert (np.diff(rejected) <= 0).all()


def test_calibration_is_by_group(data):
    lines = calibration.calibration_table(data, "mono")
    assert [(line.system, line.group) for line in lines[:2]] == [
        ("lfcc-resnet18", "mono-lingual"),
        ("lfcc-resnet18", "cross-lingual"),
    ]
    assert [line.rates["ece_before"] for line in lines[:2]] == [pytest.approx(0.05), pytest.approx(0.2)]
    assert lines[0].rates["temperature"] == pytest.approx(1.7)
    assert {line.group for line in calibration.calibration_table(data, "family")} == {"same family", "other family"}


def test_reliability_weighs_bins_by_trials(data, tmp_path):
    table = read_table(data.inputs.reliability, [])
    row = next(row for row in table if row["protocol"] == "mono" and row["bin"] == "5")
    rows = [row | {"n": "1", "accuracy": "1.0"}, row | {"n": "3", "accuracy": "0.0"}]
    write_table(tmp_path / "reliability.tsv", [*row], rows)
    changed = ReportData(replace(data.inputs, reliability=tmp_path / "reliability.tsv"))
    ((_, points),) = calibration._curves(changed, "mono").items()
    assert points == [(pytest.approx(45), pytest.approx(25))]


def test_cells_that_the_config_does_not_have_are_refused(data, tmp_path):
    table = read_table(data.inputs.calibration, [])
    write_table(tmp_path / "calibration.tsv", [*table[0]], [row | {"test": "xx"} for row in table])
    changed = ReportData(replace(data.inputs, calibration=tmp_path / "calibration.tsv"))
    with pytest.raises(UserError, match="en → xx, which the config does not have"):
        calibration.calibration_table(changed, "mono")


def test_few_shots_grow(data):
    lines = fewshot_table(data)
    assert [line.crossing for line in lines] == ["mono-lingual", "cross-lingual"] * 2
    assert [*lines[0].shots] == [1, 5, 10]
    accuracies = [rates["accuracy"] for rates in lines[0].shots.values()]
    assert accuracies == sorted(accuracies)
