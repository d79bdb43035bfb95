"""What the report computes: cells, groups, headlines, sizes beside the paper's, run times."""

import pytest

from srctrace import grid
from srctrace.errors import UserError
from srctrace.report import headline
from srctrace.report.cells import Order, cells_of, group, pick
from srctrace.report.inputs import ReportData
from srctrace.report.paper import compare
from srctrace.report.runtimes import duration, read_runtimes
from srctrace.tables import write_table
from tests.report.made_up_run import SMALL_CELL, write_run
from tests.report.sizes import EVERY_PROTOCOL


def metrics(values, protocol="mono", system="lfcc-ecapa-tdnn", variant="clean", seed="1"):
    """Rows of metrics.tsv from {(train, test): macro-F1}; each interval is 0.1 wide."""
    return [
        {
            **SMALL_CELL,
            **{"protocol": protocol, "system": system, "variant": variant, "seed": seed},
            **{"train": train, "test": test, "macro_f1": str(value)},
            **{"macro_f1_low": str(value - 0.05), "macro_f1_high": str(value + 0.05)},
        }
        for (train, test), value in values.items()
    ]


def cells_of_all(rows, summary=()):
    """Cells of rows in a grid that has what the rows name."""
    languages = list(dict.fromkeys(row[end] for row in rows for end in ("train", "test")))
    config = {"protocols": ["mono"], "corpus": {"languages": languages}}
    return cells_of(
        rows, summary, {(cell.protocol, cell.train.name, cell.test.name): cell for cell in grid.cells(config)}
    )


MATRIX = {("en", "en"): 0.9, ("en", "de"): 0.7, ("de", "en"): 0.6, ("de", "de"): 0.8}


def test_cells_are_means_over_seeds():
    rows = metrics(MATRIX) + metrics({pair: value - 0.2 for pair, value in MATRIX.items()}, seed="10")
    summary = [{**row, "macro_f1_sd": "0.141421"} for row in metrics(MATRIX)]
    cell = pick(cells_of_all(rows, summary), train="en", test="en")[0]
    assert cell.macro_f1 == pytest.approx(0.8)
    assert (cell.low, cell.high) == (pytest.approx(0.75), pytest.approx(0.85))
    assert cell.by_seed == (("1", 0.9), ("10", pytest.approx(0.7)))
    assert cell.sd == pytest.approx(0.141421)


def test_cells_without_trials_or_interval():
    rows = metrics(MATRIX)
    rows[0]["macro_f1"] = "nan"
    rows[1]["macro_f1_low"] = ""
    cells = cells_of_all(rows)
    assert len(cells) == 3
    assert cells[0].low is None
    assert cells[0].sd is None
    rows[2]["accuracy"] = "much"
    with pytest.raises(UserError, match="'much' is not a number"):
        cells_of_all(rows)


def test_groups_and_columns_are_those_of_the_grid(report_of):
    data = ReportData(report_of(EVERY_PROTOCOL).inputs)
    groups = {protocol: list(group(pick(data.cells, protocol=protocol))) for protocol in data.protocols}
    assert groups == {
        "mono": ["mono-lingual", "cross-lingual"],
        "family": ["same family", "other family"],
        "unseen-language": ["seen languages", "unseen language"],
        "unseen-speaker": [
            f"{where}, {who} speakers" for where in ("seen languages", "unseen language") for who in ("seen", "unseen")
        ],
        "pooled": ["all languages", "each language"],
    }
    columns = {cell.column for cell in pick(data.cells, protocol="unseen-language", train="without-de")}
    assert columns == {"seen languages", "unseen language"}


def test_a_cell_that_the_config_does_not_have_is_named():
    with pytest.raises(UserError, match="has a cell of mono, en → de, which the config does not have"):
        cells_of(
            metrics(MATRIX),
            [],
            {("mono", "en", "en"): grid.cells({"protocols": ["mono"], "corpus": {"languages": ["en"]}})[0]},
        )


def test_order():
    order = Order.of(["ru", "en"], None, "not a list")
    assert order.unique(["b10", "en", "b9", "ru", "all", "clean"]) == ["ru", "en", "all", "clean", "b9", "b10"]


def test_headline():
    cells = cells_of_all(metrics(MATRIX))
    line = headline.summary_line("lfcc-ecapa-tdnn", cells)
    assert line.means == {"mono-lingual": pytest.approx(0.85), "cross-lingual": pytest.approx(0.65)}
    assert line.drop == pytest.approx(0.2)
    assert (line.worst.train, line.worst.test) == ("de", "en")
    assert [tile.value for tile in headline.tiles([line], cells)] == ["85.0", "65.0", "20.0", "60.0"]
    assert headline.mean_half_width(cells) == pytest.approx(0.05)


def test_statements_say_who_fails():
    cells = cells_of_all(metrics(MATRIX))
    lines = [headline.summary_line("lfcc-ecapa-tdnn", cells)]
    baseline = cells_of_all(metrics(dict.fromkeys(MATRIX, 0.7), system="metadata"))
    lines.append(headline.summary_line("metadata", baseline, baseline=True))
    warning = [{"check": "leak", "level": "warning", "finding": "one"}]
    found = [(s.verdict, s.text) for s in headline.statements(cells, lines, 0.56, warning)]
    assert found == [
        ("does not hold", "Every clean cell is above chance (56.0) with its whole interval: 3 of 4 cells are."),
        ("holds", "Every system beats the best trivial baseline, mono-lingual (metadata, 70.0)."),
        (
            "does not hold",
            "Every system beats the best trivial baseline, cross-lingual (metadata, 70.0): not lfcc-ecapa-tdnn.",
        ),
        ("holds", "Every system loses when train and test language differ, by 20.0 points or more."),
        ("does not hold", "The audit gives no warning: it gives 1."),
    ]


def test_paper_statements():
    values = {**MATRIX, ("en", "fr"): 0.4, ("fr", "fr"): 0.9}
    cells = cells_of_all(metrics(values) + metrics(values, system="xlsr-aasist"))
    lines = [headline.summary_line(name, pick(cells, system=name)) for name in ("lfcc-ecapa-tdnn", "xlsr-aasist")]
    texts = {s.text.split(" (")[0]: s.verdict for s in headline.paper_statements(cells, lines)}
    assert texts["Crossing within a language family costs less than across families"] == "holds"
    assert texts["lfcc-ecapa-tdnn is the best system cross-lingual"] == "holds"
    assert len(texts) == 3


def test_compare():
    config = {
        "corpus": {"languages": ["en"] * 6, "sources": ["a", "b"]},
        "systems": ["lfcc-resnet18"],
        "seeds": [688],
        "backends": {"resnet18": {"width": 64}, "aasist": {"time_pools": 1}},
        "train": {"epochs": 12, "lr": 5e-4},
    }
    found = {size.name: size for size in compare(config, [330, 420])}
    assert found["Languages"].same
    assert not found["Sources"].same
    assert found["Clean evaluation utterances"].same
    assert found["Training seeds"].same
    assert found["ResNet18: width"].same
    assert (found["Epochs"].here, found["Epochs"].paper, found["Epochs"].same) == ("12", "50", False)
    assert found["Learning rate"].same
    assert not any(name.startswith("AASIST") for name in found)  # no system has it
    assert len(compare({}, [])) == 4


def test_runtimes(tmp_path):
    write_table(tmp_path / "train/a-en-seed1.tsv", ["s", "max_rss"], [{"s": 10.5, "max_rss": 100.0}])
    write_table(tmp_path / "train/a-de-seed1.tsv", ["s", "max_rss"], [{"s": 20.0, "max_rss": "-"}])
    write_table(tmp_path / "train/a-de-seed9.tsv", ["s"], [{"s": 70.0}])  # of a run before this one
    write_table(tmp_path / "scan/all.tsv", ["s"], [{"s": "NA"}])
    train, scan = read_runtimes(tmp_path, {"en", "all", "a-en-seed1", "a-de-seed1"})
    assert (train.rule, train.jobs, train.seconds, train.longest, train.memory) == ("train", 2, 30.5, 20.0, 100.0)
    assert (scan.rule, scan.jobs, scan.seconds, scan.memory) == ("scan", 1, 0.0, None)
    assert read_runtimes(tmp_path / "none", {"en"}) == []
    assert read_runtimes(None, {"en"}) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.26, "0.3 s"),
        (42, "42 s"),
        (59.6, "1 min 00 s"),
        (85, "1 min 25 s"),
        (3600, "1 h 00 min"),
        (7325, "2 h 02 min"),
    ],
)
def test_duration(seconds, words):
    assert duration(seconds) == words


def test_config_must_be_json(tmp_path):
    inputs = write_run(tmp_path)
    inputs.config.write_text("corpus: x")
    with pytest.raises(UserError, match="not JSON"):
        _ = ReportData(inputs).config
