import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from srctrace.errors import UserError
from srctrace.metrics import METRICS_COLUMNS
from srctrace.report import color
from srctrace.report.canvas import DASH, WIDTH, percent, shorten
from srctrace.report.figures import write_figures
from srctrace.report.names import figure_names, slug, system_figure
from srctrace.tables import read_table
from tests.report.made_up_run import SYSTEMS, Size, write_run
from tests.report.sizes import SIZES, SMALL


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_writes_the_figures_that_are_declared(report_of, size):
    figures = report_of(size).figures
    written = {str(path.relative_to(figures)) for path in figures.rglob("*") if path.is_file()}
    assert written == {name for protocol in size.protocols for name in figure_names(protocol, size.systems)}
    for name in written:
        svg = ElementTree.parse(figures / name).getroot()
        assert float(svg.get("viewBox").split()[2]) == WIDTH * 0.75
        assert not svg.findall(".//{*}script")
        _check_inside(svg)


def _check_inside(svg):
    """No text starts outside of the picture."""
    _, _, width, height = map(float, svg.get("viewBox").split())
    for text in svg.iterfind(".//{*}text"):
        assert 0 <= float(text.get("x")) <= width, text.text
        assert 0 <= float(text.get("y")) <= height, text.text


def test_heat_map_shows_the_values(report_of):
    report = report_of(SMALL)
    svg = (report.figures / system_figure("mono", "lfcc-resnet18", "heatmap-clean")).read_text()
    rows = [
        row
        for row in read_table(report.inputs.metrics, METRICS_COLUMNS)
        if row["system"] == "lfcc-resnet18" and row["variant"] == "clean"
    ]
    assert len(rows) == 9
    for row in rows:
        assert f">{percent(float(row['macro_f1']))}</text>" in svg
        low, high = percent(float(row["macro_f1_low"]), 0), percent(float(row["macro_f1_high"]), 0)
        assert f">{low}{DASH}{high}</text>" in svg


def test_order_is_that_of_the_config(tmp_path):
    size = Size(systems=SYSTEMS[:1], conditions=("ru", "de"), variants=("clean",))
    write_figures(write_run(tmp_path, size), tmp_path / "out")
    svg = ElementTree.parse(tmp_path / "out" / system_figure("mono", SYSTEMS[0], "heatmap-clean"))
    heads = [text for text in svg.iterfind(".//{*}text") if text.text in size.conditions]
    column = max(float(text.get("y")) for text in heads if text.get("style").count("middle"))
    rows = [text.text for text in heads if float(text.get("y")) > column]
    assert rows == ["ru", "de"]


def test_names_need_no_package():
    code = "import sys, srctrace.report.names; sys.exit(bool({'matplotlib', 'numpy', 'jinja2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_corpora_are_refused(tmp_path):
    inputs = write_run(tmp_path, SMALL)
    content = inputs.metrics.read_text()
    inputs.metrics.write_text(content + content.splitlines()[-1].replace("built", "other", 1) + "\n")
    with pytest.raises(UserError, match="built, other"):
        write_figures(inputs, tmp_path / "out")


def test_scale_is_even_and_text_on_it_readable():
    colors, inks = zip(*(color.shade(step / 100) for step in range(0, 101, 5)), strict=True)
    labs = [color._to_lab(color._linear(shade)) for shade in colors]
    steps = np.linalg.norm(np.diff(labs, axis=0), axis=1)
    assert steps.std() / steps.mean() < 0.05
    for shade, ink in zip(colors, inks, strict=True):
        light, dark = sorted((color._linear(name) @ [0.2126, 0.7152, 0.0722] for name in (shade, ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("value", "decimals", "words"),
    [(0.5, 1, "50.0"), (0.99949, 1, "99.9"), (0.9996, 1, "100"), (1.0, 1, "100"), (0.0, 0, "0"), (0.996, 0, "100")],
)
def test_percent(value, decimals, words):
    assert percent(value, decimals) == words


def test_shorten_keeps_both_ends():
    assert shorten("short", 5) == "short"
    assert shorten("tts_models/xtts_v2", 9) == "tts_…s_v2"
    assert len(shorten("x" * 50, 12)) == 12


def test_an_id_is_of_one_name():
    assert slug("cell", "lfcc-ecapa-tdnn+aam", "en") == "cell:lfcc-ecapa-tdnn_2b_aam:en"
    names = ("a b", "a_b", "a+b", "a:b", "a_20_b", "a-b", "ä")
    assert len({slug(name) for name in names}) == len(names)
    assert all(slug(name).isascii() and " " not in slug(name) for name in names)
