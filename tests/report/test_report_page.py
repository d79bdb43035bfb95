import base64
import hashlib
import itertools
import re
from dataclasses import replace

import pytest

from srctrace.errors import UserError
from srctrace.openset.table import OPENSET_COLUMNS
from srctrace.report import names
from srctrace.report.canvas import DASH, percent
from srctrace.report.names import opened
from srctrace.report.page import write_report
from srctrace.significance import COLUMNS as DIFFERENCES
from srctrace.speakers.quality import COLUMNS as QUALITY
from srctrace.tables import read_table, write_table
from tests.report.made_up_run import write_run
from tests.report.making import ORIGIN, make_report
from tests.report.page_parser import Page
from tests.report.sizes import HOSTILE, SIZES, SMALL


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
    assert not page.all("link", "iframe", "object")
    assert page.all("script") == [{}]
    assert all(attributes["src"].startswith(("data:image/", "data:audio/")) for attributes in page.all("img", "audio"))
    assert not re.search(r"https?://|@import|url\(", html)
    for attributes in page.all("img"):
        if not attributes["src"].startswith("data:image/svg+xml;base64,"):
            continue
        svg = base64.b64decode(attributes["src"].split(",", 1)[1]).decode()
        assert not re.search(r'href="(?!#)', svg)


@pytest.mark.parametrize("kind", ["style", "script"])
def test_policy_allows_this_style_and_script_only(report_of, kind):
    html = report_of(SMALL).html
    page = Page(html)
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    assert f"; {kind}-src 'sha256-{digest}';" in policy
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


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
    assert html.count("<script") == 1
    assert "alert" not in re.search(r"<script>(.*?)</script>", html, re.DOTALL).group(1)
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
    with pytest.raises(UserError, match=r"figures/mono/\S+\.svg: no such figure"):
        write_report(inputs, tmp_path / "out", tmp_path / "report.html", ORIGIN)
    assert not (tmp_path / "report.html").exists()


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


def test_the_answers_come_first(report_of):
    page = Page(report_of(SIZES["protocols"]).html)
    text = page.text
    assert re.search(
        r"Which system is best, mono-lingual\? lfcc-\S+: [\d.]+ % macro-F1 \(\S+\), [\d.]+ points ahead", text
    )
    assert "With fewer than three seeds, whether that is more than luck is not tested." in text
    assert re.search(r"Mono-lingual, lfcc-\S+ is best: it sees [\d.]+ % of the trials of unknown sources", text)
    assert "accuracy from 5.0 to 2.5 points mono-lingual, and from 20.0 to 10.0 points cross-lingual." in text
    assert "With 10 utterances of an unknown source enrolled" in text
    small = Page(report_of(SMALL).html).text
    assert "Is an unknown source noticed?" not in small
    assert "Can a probability be believed?" in small


def test_an_answer_has_the_interval_of_the_lead(report_of, tmp_path):
    report = report_of(SMALL)
    best = re.search(r"best, mono-lingual\? (\S+):", Page(report.html).text).group(1)
    other = next(system for system in SMALL.systems if system != best)
    row = dict.fromkeys(DIFFERENCES, 0) | {"protocol": "mono", "group": "mono-lingual", "variant": "clean"}
    row |= {"system_a": other, "system_b": best, "low": -0.3, "high": -0.1, "p_holm": 0.01}
    write_table(tmp_path / "mono" / "differences.tsv", DIFFERENCES, [row])
    inputs = replace(report.inputs, differences=[tmp_path / "mono" / "differences.tsv"])
    write_report(inputs, report.figures, tmp_path / "report.html", ORIGIN)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "The lead's 95 % interval is 10.0 to 30.0 points, which is more than luck." in text


def test_every_clean_cell_has_a_panel(report_of):
    size = SIZES["protocols"]
    report = report_of(size)
    page = Page(report.html)
    opens = [attributes["href"] for attributes in page.all("a") if attributes.get("class") == "open"]
    panels = {f"#{attributes['id']}" for attributes in page.all("article")}
    clean = [row for row in read_table(report.inputs.metrics, ["variant"]) if row["variant"] == "clean"]
    assert len(opens) == len(clean)
    assert set(opens) == panels
    assert "formant taken for klatt5 with a probability of 75.0 %" in page.text


def test_a_large_run_opens_the_cells_of_its_first_protocols(monkeypatch):
    config = {"protocols": ["mono", "pooled"], "corpus": {"languages": ["en", "de"]}, "systems": ["a", "b"]}
    assert len(opened(config)) == 7
    monkeypatch.setattr(names, "MOST_PANELS", 8)
    assert {cell.protocol for cell in opened(config)} == {"mono"}
    monkeypatch.setattr(names, "MOST_PANELS", 7)
    assert {cell.protocol for cell in opened(config)} == {"pooled"}


def test_a_sound_is_in_the_page_once(report_of):
    html = report_of(SIZES["protocols"]).html
    sources = [attributes["src"] for attributes in Page(html).all("audio")]
    assert len(sources) == 3
    assert all(html.count(source) == 1 for source in sources)


def test_real_speech_is_a_condition_of_its_own(report_of, tmp_path):
    report = report_of(SIZES["protocols"])
    table = read_table(report.inputs.openset, OPENSET_COLUMNS)
    rows = [row | {"unknown": "bona-fide", "false_acceptance": "0.25"} for row in table if row["unknown"] == "all"]
    write_table(tmp_path / "openset.tsv", OPENSET_COLUMNS, [*table, *rows])
    inputs = replace(report.inputs, openset=tmp_path / "openset.tsv")
    write_report(inputs, report.figures, tmp_path / "report.html", ORIGIN)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "Real speech was tested too" in text
    assert "of real speech, 75.0 % of the trials are called unknown" in text


def test_unknown_sources_are_shown_where_they_were_tested(report_of):
    text = Page(report_of(SIZES["protocols"]).html).text
    assert "No real speech was tested" in text
    assert "By unknown source" in text
    assert "Unknown sources" not in Page(report_of(SMALL).html).text


def test_a_report_needs_no_illustrations(report_of, tmp_path):
    report = report_of(SMALL)
    inputs = replace(report.inputs, examples=None, projection=None)
    write_report(inputs, report.figures, tmp_path / "report.html", ORIGIN)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not page.all("audio", "svg")
    assert page.all("article")
