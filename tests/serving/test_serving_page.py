"""The page in a real browser."""

import json
import shutil
from pathlib import Path

import pytest

from tests.report.browser import Tab, browser
from tests.serving.making import LIMITS, audio

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on PATH")
SHOWN = "!document.getElementById('result').hidden"


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "<b>a & b.wav"
    path.write_bytes(audio(2.3))
    return path


def show(tab: Tab, address: str, width: int = 1280) -> None:
    tab.complaints.clear()
    tab.resize(width)
    tab.call("Page.navigate", url=address)
    tab.until(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")


def choose(tab: Tab, file: Path) -> None:
    """As in the dialogue that the file button opens."""
    found = tab.call("Runtime.evaluate", expression="document.getElementById('file')")
    tab.call("DOM.setFileInputFiles", files=[str(file)], objectId=found["result"]["objectId"])


def drop(tab: Tab, file: Path) -> None:
    """Drag a file to the window from outside, and let go."""
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for event in ("dragEnter", "dragOver", "drop"):
        tab.call("Input.dispatchDragEvent", type=event, x=640, y=700, data=data)


def text(tab: Tab, name: str) -> str:
    return tab.evaluate(f"document.getElementById('{name}').textContent")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_file_that_is_chosen_is_traced(tab, server, speech, width):
    show(tab, server.address, width)
    choose(tab, speech)
    tab.until(SHOWN)
    (trace,) = server.tracer.trace([speech])
    assert text(tab, "verdict").lower().startswith(trace.verdict)
    assert text(tab, "verdict") in text(tab, "status")
    assert trace.source in text(tab, "words")
    assert speech.name in text(tab, "about")
    assert tab.evaluate("document.querySelector('#ranking tr').textContent").startswith(trace.ranking[0][0])
    assert tab.evaluate("document.querySelectorAll('#strip i[title]').length") == len(trace.segments)
    assert f"{trace.threshold:.3f}" in text(tab, "score")
    tab.evaluate("document.getElementById('every').open = true")
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    tab.evaluate("document.querySelectorAll('#every .play')[1].click()")
    tab.until("document.getElementById('player').currentTime > 0.5")
    assert tab.complaints == []  # nor has the policy refused anything


def test_a_file_that_is_dropped_is_traced(tab, server, speech):
    show(tab, server.address)
    drop(tab, speech)
    tab.until(SHOWN)
    assert tab.complaints == []


def test_the_file_button_is_reached_by_keyboard(tab, server):
    show(tab, server.address)
    for _ in range(10):
        tab.press("Tab")
        if tab.evaluate("document.activeElement.id") == "file":
            break
    assert tab.evaluate("getComputedStyle(document.querySelector('.drop')).outlineStyle") == "solid"


def test_errors_are_told_and_the_next_file_is_traced(tab, server, speech, tmp_path):
    (tmp_path / "no.wav").write_bytes(b"no audio" * 100)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "large.wav").write_bytes(bytes(LIMITS.bytes + 1))
    show(tab, server.address)
    for name, words in (("no", "not audio"), ("empty", "is empty"), ("large", "0.3 are the most")):
        choose(tab, tmp_path / f"{name}.wav")
        tab.until(f"document.getElementById('error').textContent.includes({words!r})")
        assert tab.evaluate("document.getElementById('result').hidden")
    choose(tab, speech)
    tab.until(SHOWN)
    assert tab.evaluate("document.getElementById('error').hidden")
