"""The page in Chromium, as a person uses it: by mouse, by keyboard, on a phone, in the dark, on paper."""

import shutil

import pytest

from tests.report.browser import browser
from tests.report.made_up_run import Size
from tests.report.sizes import HOSTILE, ONE, SIZES

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on PATH")

OPEN = "#mono a.open"
PANEL = ".panel:target"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture
def show(report_of, chromium, tmp_path):
    """Open the report on a run of some size in a window of some width."""

    def opened(size=SIZES["protocols"], width=1280):
        (tmp_path / "report.html").write_text(report_of(size).html, encoding="utf-8")
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)
        chromium.media()
        chromium.resize(width)
        chromium.open(tmp_path / "report.html")
        return chromium

    return opened


def is_shown(tab, selector):
    return tab.evaluate(f"document.querySelector({selector!r}).checkVisibility()")


def rows_shown(tab, sort):
    """The values of an attribute among the rows and groups of rows in sight."""
    return set(
        tab.evaluate(
            f"[...document.querySelectorAll('#mono :is(tr, tbody)[data-{sort}]')]"
            f".filter(row => row.checkVisibility()).map(row => row.dataset.{sort})"
        )
    )


def test_nothing_is_refused_and_nothing_fetched(show):
    tab = show()
    tab.requests.clear()
    tab.evaluate("location.reload()")
    tab.until("document.readyState === 'complete' && !document.getElementById('filters').hidden")
    assert tab.complaints == []
    assert {url.partition(":")[0] for url in tab.requests} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in tab.requests) == 1


def test_filters_work_by_keyboard(show):
    tab = show()
    assert rows_shown(tab, "system") >= {"lfcc-resnet18", "lfcc-ecapa-tdnn"}
    tab.evaluate("document.querySelector('#filters [name=system]').focus()")
    tab.press("ArrowDown")
    tab.until("document.querySelector('#filters [name=system]').value === 'lfcc-resnet18'")
    assert rows_shown(tab, "system") == {"lfcc-resnet18"}
    assert "system lfcc-resnet18" in tab.evaluate("document.querySelector('#filters output').textContent")
    tab.press("Tab")
    tab.press("ArrowDown")
    tab.until("document.querySelector('#filters [name=train]').value === 'en'")
    assert rows_shown(tab, "train") == {"en"}
    tab.click("#filters [type=reset]")
    tab.until("!document.querySelector('.off')")


def test_filtered_columns_and_protocols(show):
    tab = show()
    tab.evaluate(
        "for (const [name, value] of [['test', 'de'], ['protocol', 'mono']])"
        "document.querySelector(`#filters [name=${name}]`).value = value;"
        "document.getElementById('filters').dispatchEvent(new Event('input'))"
    )
    columns = "[...document.querySelectorAll('#mono thead th[data-test]')].filter(head => head.checkVisibility())"
    assert set(tab.evaluate(f"{columns}.map(head => head.textContent)")) == {"de"}
    assert is_shown(tab, "#mono")
    assert not is_shown(tab, "#family")
    assert not is_shown(tab, "#out-of-set")


def test_a_cell_is_clicked_and_a_sound_played(show, tmp_path):
    tab = show()
    tab.click(OPEN)
    tab.until(f"document.querySelector('{PANEL} audio')")
    assert tab.evaluate("document.activeElement.matches('.panel:target')")
    assert is_shown(tab, f"{PANEL} table.heat")
    tab.evaluate(f"window.sound = document.querySelector('{PANEL} audio'); sound.muted = true; sound.play()")
    tab.until("sound.currentTime > 0.1")
    assert tab.evaluate("sound.duration") == pytest.approx(1.0, abs=0.1)
    tab.until(f"document.querySelector('{PANEL} img').naturalWidth > 0")
    tab.screenshot(tmp_path / "panel.png")
    tab.click(f"{PANEL} .close")
    tab.until(f"!document.querySelector('{PANEL}')")
    assert tab.evaluate("sound.paused")


def test_a_cell_is_opened_and_left_by_keyboard(show):
    tab = show()
    tab.evaluate(f"document.querySelector('{OPEN}').focus()")
    tab.press("Tab")
    place = tab.evaluate("document.activeElement.id")
    assert place.startswith("at:mono:")
    tab.press("Enter", "\r")
    tab.until(f"document.querySelector('{PANEL}')")
    assert tab.evaluate(f"document.querySelector('{PANEL}').id") == place.replace("at:", "cell:", 1)
    tab.press("Escape")
    tab.until(f"!document.querySelector('{PANEL}')")
    assert tab.evaluate("document.activeElement.id") == place


def test_a_cell_is_in_the_address(show):
    tab = show()
    cell = tab.evaluate(f"document.querySelector('{OPEN}').hash")
    tab.evaluate(f"location.hash = {cell!r}")
    tab.evaluate("location.reload()")
    tab.until(f"document.querySelector('{PANEL} audio')")
    tab.evaluate("history.back()")
    tab.until(f"!document.querySelector('{PANEL}')")


def test_all_is_there_without_script(show):
    tab = show()
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.call("Page.reload")
    tab.until("document.readyState === 'complete' && document.getElementById('filters').hidden")
    tab.click(OPEN)
    tab.until(f"document.querySelector('{PANEL}')")
    tab.click(f"{PANEL} .player a")
    tab.until("document.querySelector('.sounds li:target')")
    assert is_shown(tab, ".sounds li:target audio")
    assert is_shown(tab, ".maps circle")


def test_embeddings_are_coloured_by_choice(show):
    tab = show()
    colours = "JSON.stringify([...document.querySelectorAll('.maps circle')].map(dot => getComputedStyle(dot).color))"
    by_source = tab.evaluate(colours)
    assert is_shown(tab, ".legend.source")
    tab.click("[name=colouring][value=language]")
    tab.until("document.querySelector('[value=language]').checked")
    assert tab.evaluate(colours) != by_source
    assert is_shown(tab, ".legend.language")
    assert not is_shown(tab, ".legend.source")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "size", [SIZES["protocols"], Size(**ONE, seeds=(1, 2), variants=("clean", "noise"), sources=(*HOSTILE, "w" * 60))]
)
def test_page_fits_its_window(show, size, width, tmp_path):
    tab = show(size, width)
    tab.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    tab.screenshot(tmp_path / f"{width}.png")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.click(OPEN)
    tab.until(f"document.querySelector('{PANEL}')")
    assert tab.evaluate(f"document.querySelector('{PANEL}').scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_what_is_behind_it(show, scheme):
    tab = show()
    tab.media(prefers_color_scheme=scheme)
    lights = {
        name: sum(weight * (part / 255) ** 2.2 for weight, part in zip((0.2126, 0.7152, 0.0722), colour, strict=True))
        for name, colour in tab.evaluate(
            "Object.fromEntries([['ink', 'body', 'color'], ['muted', '.note', 'color'], ['paper', 'body',"
            "'backgroundColor']].map(([name, selector, property]) => [name, getComputedStyle(document.querySelector("
            "selector))[property].match(/\\d+/g).slice(0, 3).map(Number)]))"
        ).items()
    }
    assert (lights["paper"] < lights["ink"]) == (scheme == "dark")
    for name in ("ink", "muted"):
        dark, light = sorted((lights[name], lights["paper"]))
        assert (light + 0.05) / (dark + 0.05) > 4.5


def test_page_is_printed(show, tmp_path):
    tab = show()
    tab.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    tab.media("print")
    assert not is_shown(tab, "nav")
    assert not is_shown(tab, "#filters")
    assert is_shown(tab, OPEN)
