import base64
import hashlib
import itertools
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from srctrace.errors import UserError
from srctrace.report.canvas import DASH, percent
from srctrace.report.page import write_report
from srctrace.significance import COLUMNS as DIFFERENCES
from srctrace.speakers.quality import COLUMNS as QUALITY
from srctrace.tables import read_table, write_table
from tests.report.made_up_run import Size, write_run
from tests.report.making import ORIGIN, make_report
from tests.report.page_parser import Page
from tests.report.sizes import HOSTILE, ONE, SIZES, SMALL


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_page_is_well_formed(report_of, size):
    page = Page(report_of(size).html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.all("a"):
        assert attributes["href"].startswith("#")
        assert attributes["href"][1:] in ids
    for _, attributes in page.elements:
        assert "style" not in attributes  # the policy would drop it
        assert attributes.get("aria-labelledby", ids[0]) in ids
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(len(attributes["alt"]) > 20 for attributes in page.all("img"))
    tables = [tag for tag, _ in page.elements if tag in ("table", "caption")]
    assert tables == ["table", "caption"] * (len(tables) // 2)
    assert "nan" not in page.text.split()
    assert "None" not in page.text


def test_page_needs_no_network(report_of):
    html = report_of(SMALL).html
    page = Page(html)
    assert not page.all("script", "link", "iframe", "object")
    assert all(attributes["src"].startswith("data:image/svg+xml;base64,") for attributes in page.all("img"))
    assert not re.search(r"https?://|@import|url\(", html)
    for attributes in page.all("img"):
        svg = base64.b64decode(attributes["src"].split(",", 1)[1]).decode()
        assert not re.search(r'href="(?!#)', svg)


def test_policy_allows_this_style_only(report_of):
    html = report_of(SMALL).html
    policy = next(meta["content"] for meta in Page(html).all("meta") if "http-equiv" in meta)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"style-src 'sha256-{digest}'" in policy


def test_every_value_is_there(report_of):
    report = report_of(SMALL)
    text = Page(report.html).text
    rows = read_table(report.inputs.metrics, ["macro_f1"])
    assert len(rows) == 2 * 9 * 6
    for row in rows:
        value, low, high = (percent(float(row[column])) for column in ("macro_f1", "macro_f1_low", "macro_f1_high"))
        assert f"{value} {low}{DASH}{high}" in text
        if row["variant"] == "clean":
            words = percent(float(row["accuracy"])), percent(float(row["balanced_accuracy"]))
            assert f"{row['n_trials']} {' '.join(words)}" in text


def test_same_bytes_every_time(report_of, tmp_path):
    first, again = report_of(SIZES["seeds"]), make_report(tmp_path, SIZES["seeds"])
    for path in first.figures.rglob("*.svg"):
        assert path.read_bytes() == (again.figures / path.relative_to(first.figures)).read_bytes(), path.name
    assert first.html == again.html


def test_names_are_escaped(report_of):
    html = report_of(SIZES["hostile"]).html
    assert "<script" not in html
    assert all(source in Page(html).text for source in HOSTILE)


def test_honest_about_the_built_in_corpus_only(report_of):
    words = "nothing about MLAAD"
    assert words in report_of(SMALL).html
    assert words not in report_of(SIZES["real corpus"]).html
    assert "What the paper found" in report_of(SIZES["real corpus"]).html


def test_seeds(report_of):
    report = report_of(SIZES["seeds"])
    text = Page(report.html).text
    assert "seed 2 seed 10 Deviation of a cell" in text
    for row in read_table(report.inputs.summary, ["macro_f1_sd"]):
        assert f"{percent(float(row['macro_f1_mean']))} ± {100 * float(row['macro_f1_sd']):.1f}" in text
    assert "Deviation of a cell" not in report_of(SMALL).html


def test_provenance(report_of):
    report = report_of(SMALL)
    text = Page(report.html).text
    assert "0123abc with changes" in text
    assert "torch 2.11.0" in text
    assert "a processor" in text
    for path in (report.inputs.manifest, *report.inputs.splits):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert '"protocol_seed": 0' in text
    assert "train 2 1 min 25 s 42 s 612 MB" in text  # two jobs of 42.5 s


def test_optional_inputs_can_be_absent(report_of, tmp_path):
    report = report_of(SIZES["no histories"])
    inputs = replace(report.inputs, baselines=(), findings=(), splits=(), benchmarks=tmp_path / "no-such-folder")
    write_report(inputs, report.figures, tmp_path / "report.html", ORIGIN)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "No training histories were given." in text
    assert "No audit was made." in text


def test_missing_figures_are_named(tmp_path):
    inputs = write_run(tmp_path, SMALL)
    with pytest.raises(UserError, match=r"lfcc-resnet18-heatmap-clean\.svg: no such figure"):
        write_report(inputs, tmp_path / "out", tmp_path / "report.html", ORIGIN)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on PATH")
@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_its_window(report_of, tmp_path, width):
    size = Size(**ONE, seeds=(1, 2), variants=("clean", "noise"), sources=(*HOSTILE, "w" * 60))
    html = report_of(size).html.replace("<details>", "<details open>")
    html = re.sub(r"<meta http-equiv[^>]*>", "", html)  # inside the frame, the policy of the page around it holds
    frame = html.replace("&", "&amp;").replace('"', "&quot;")
    (tmp_path / "frame.html").write_text(
        f'<iframe width="{width}" height="800" frameborder="0" srcdoc="{frame}"></iframe>'
        "<script>onload = () => { const root = document.querySelector('iframe').contentDocument.documentElement;"
        "document.body.textContent = `measured ${root.scrollWidth} ${root.clientWidth}`; };</script>",
        encoding="utf-8",
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}/profile"]
    command = ["chromium", *options, "--dump-dom", (tmp_path / "frame.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    scroll, client = map(int, re.search(r"measured (\d+) (\d+)", dom).groups())
    assert width - 20 <= client <= width
    assert scroll <= client


def test_differences_say_who_is_better_and_who_cannot_be_told_apart(report_of, tmp_path):
    report = report_of(SMALL)
    rows = [
        {
            **{"corpus": "built", "protocol": "mono", "group": group, "variant": "clean", "n_seeds": 3, "n_cells": 3},
            **{"system_a": SMALL.systems[0], "system_b": SMALL.systems[1], "macro_f1_a": 0.9, "macro_f1_b": 0.8},
            **{"difference": sign * 0.1, "low": sign * 0.1 - 0.05, "high": sign * 0.1 + 0.05, "p": p / 2, "p_holm": p},
        }
        for group, sign, p in (("mono-lingual", 1, 0.02), ("cross-lingual", -1, 0.03), ("cross-lingual", 1, 0.4))
    ]
    write_table(tmp_path / "mono" / "differences.tsv", DIFFERENCES, rows)
    inputs = replace(report.inputs, differences=[tmp_path / "mono" / "differences.tsv"])
    write_report(inputs, report.figures, tmp_path / "report.html", ORIGIN)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert f"{SMALL.systems[0]} is better" in text
    assert f"{SMALL.systems[1]} is better" in text
    assert "0.2000 0.4000 not told apart" in text
    assert "10.0 5.0 to 15.0" in text
    assert "1 seed: with fewer than 3, nothing is said" in Page(report.html).text


def test_pseudo_speakers_are_called_so(report_of, tmp_path):
    report = report_of(SMALL)
    quality = dict.fromkeys(QUALITY, "") | {"language": "en", "embedding": "LFCC statistics", "n_utterances": 48}
    quality |= {"clusters": 7, "chosen": "gap", "normalised_information": 0.123, "level": "warning", "finding": "Oh."}
    write_table(tmp_path / "quality.tsv", QUALITY, [quality, quality | {"purity": 0.66, "adjusted_rand": 0.5}])
    inputs = replace(report.inputs, speakers=tmp_path / "quality.tsv")
    write_report(inputs, report.figures, tmp_path / "report.html", ORIGIN)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "clusters of speaker embeddings, not persons" in text
    assert "of LFCC statistics" in text
    assert f"en 48 7 gap 12.3 {DASH} {DASH} warning Oh." in text
    assert "12.3 66.0 0.50 warning" in text
    assert "not persons" not in report.html


def test_ssl_front_ends_say_what_they_are(report_of):
    text = Page(report_of(SIZES["many systems"]).html).text
    assert "Self-supervised front-ends" in text
    assert (
        "wav2vec2-xls-r-300m facebook/wav2vec2-xls-r-300m at 1a640f32ac3e fine-tuned, recipe ours last layer "
        "wav2vec2, 24 \N{MULTIPLICATION SIGN} 1024 apache-2.0"
    ) in text
    assert "Self-supervised front-ends" not in Page(report_of(SIZES["several"]).html).text
