"""New sources from a few utterances."""

import errno
import os
import shutil

import numpy as np
import pytest
import soundfile
from safetensors import safe_open
from safetensors.numpy import save_file

from srctrace.audio import to_int16
from srctrace.errors import UserError
from srctrace.tracing import Tracer, enrolled
from srctrace.tracing.enrolled import enrol, winner
from srctrace.tracing.result import ENROLLED, KNOWN
from tests.tracing.small_models import LOW, RATE, SOURCES, STRANGER, decide, make_model, sound


@pytest.fixture
def copy(tmp_path, model):
    return shutil.copytree(model, tmp_path / "model")


@pytest.fixture
def whistles(tmp_path):
    """Files of a source that no model knows."""
    (tmp_path / STRANGER).mkdir()
    for number in range(5):
        soundfile.write(tmp_path / STRANGER / f"{number}.wav", sound(STRANGER, seed=number), RATE)
    return tmp_path / STRANGER


def enrol_here(name, files, folders, **options):
    return enrol(name, files, folders, device="cpu", threads=1, **options)


def test_an_enrolled_source_is_found(copy, whistles, sounds):
    assert enrol_here(STRANGER, [whistles], [copy]) == 5
    files = [sounds / f"{source}.wav" for source in (STRANGER, *SOURCES)]
    stranger, *known = Tracer.load([copy], "cpu", 1).trace(files)
    assert (stranger.verdict, stranger.source, stranger.probability) == (ENROLLED, STRANGER, None)
    assert stranger.similarities[STRANGER] > 0.5
    assert [(trace.verdict, trace.source) for trace in known] == [(KNOWN, source) for source in SOURCES]


def test_two_known_sources_are_no_enrolled_one(tmp_path, copy, whistles):
    """Their mean is like no known source."""
    enrol_here(STRANGER, [whistles], [copy])
    parts = [sound(source, 4.0, seed=200) for source in SOURCES]
    soundfile.write(tmp_path / "a.wav", np.concatenate(parts), RATE)
    (trace,) = Tracer.load([copy], "cpu", 1).trace([tmp_path / "a.wav"])
    assert trace.verdict == KNOWN


def test_all_models_of_several_must_know_it(tmp_path, copy, whistles, sounds):
    other = make_model(tmp_path / "other", sources=SOURCES[::-1], seed=3)
    enrol_here(STRANGER, [whistles], [copy])
    with pytest.raises(UserError, match=f"enrolled in another model, but not in this: srctrace enrol {STRANGER}"):
        Tracer.load([copy, other], "cpu", 1)
    enrol_here(STRANGER, [whistles], [copy, other], replace=True)
    (trace,) = Tracer.load([copy, other], "cpu", 1).trace([sounds / f"{STRANGER}.wav"])
    assert (trace.verdict, trace.source) == (ENROLLED, STRANGER)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "\N{LATIN SMALL LETTER E WITH ACUTE}", "x" * 65, "-x"])
def test_names_that_cannot_be(copy, whistles, name):
    with pytest.raises(UserError, match="a source's name is"):
        enrol_here(name, [whistles], [copy])


def test_names_that_are_taken(copy, whistles):
    with pytest.raises(UserError, match="was trained on a source of that name"):
        enrol_here("hum", [whistles], [copy])
    enrol_here("new", [whistles], [copy])
    before = (copy / "enrolled" / "new.safetensors").read_bytes()
    with pytest.raises(UserError, match="--replace"):
        enrol_here("new", [whistles / "0.wav"], [copy])
    assert (copy / "enrolled" / "new.safetensors").read_bytes() == before
    enrol_here("new", [whistles / "0.wav"], [copy], replace=True)
    assert (copy / "enrolled" / "new.safetensors").read_bytes() != before


def test_nothing_is_stored_where_a_file_is_at_fault(tmp_path, copy, whistles, sounds):
    with pytest.raises(UserError, match=r"broken\.wav: cannot be read"):
        enrol_here("new", [whistles, sounds / "broken.wav"], [copy])
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    with pytest.raises(UserError, match="nothing but silence"):
        enrol_here("new", [tmp_path / "silent.wav"], [copy])
    os.mkfifo(tmp_path / "pipe")
    for stream in ("-", tmp_path / "pipe"):
        with pytest.raises(UserError, match=r"^standard input and named pipes cannot be enrolled"):
            enrol_here("new", [whistles, stream], [copy])
    assert not (copy / "enrolled").exists()


def test_all_models_of_several_enrol_or_none(tmp_path, copy, whistles, monkeypatch):
    other = make_model(tmp_path / "other", seed=3)
    enrol_here("new", [whistles / "0.wav"], [copy])
    before = (copy / "enrolled" / "new.safetensors").read_bytes()
    (other / "enrolled").touch()
    with monkeypatch.context() as early:
        early.setattr(enrolled, "read_ahead", lambda *_: pytest.fail("computed before"))
        with pytest.raises(UserError, match=r"other/enrolled: no folder"):
            enrol_here("new", [whistles], [copy, other], replace=True)
    (other / "enrolled").unlink()

    def full(member, *rest):
        if member.folder == other:
            raise OSError(errno.ENOSPC, "No space left on device")
        return content(member, *rest)

    content = enrolled._content
    monkeypatch.setattr(enrolled, "_content", full)
    with pytest.raises(OSError, match="No space left"):
        enrol_here("new", [whistles], [copy, other], replace=True)
    assert (copy / "enrolled" / "new.safetensors").read_bytes() == before
    assert [path.name for path in (copy / "enrolled").iterdir()] == ["new.safetensors"]
    assert not list(other.glob("enrolled/*"))


def test_a_model_that_cannot_be_written_to_is_told_before(copy, whistles, monkeypatch):
    monkeypatch.setattr(enrolled, "read_ahead", lambda *_: pytest.fail("computed before"))
    monkeypatch.setattr("os.access", lambda path, _: path != copy)
    with pytest.raises(UserError, match=f"{copy}: cannot be written to"):
        enrol_here("new", [whistles], [copy])


def test_a_model_without_a_decision_enrols_nothing(undecided, whistles):
    with pytest.raises(UserError, match="no decision file"):
        enrol_here("new", [whistles], [undecided])


def test_what_another_model_enrolled_is_refused(tmp_path, copy, whistles):
    enrol_here("new", [whistles], [copy])
    other = make_model(tmp_path / "other", seed=5)
    shutil.copytree(copy / "enrolled", other / "enrolled")
    with pytest.raises(UserError, match="enrolled with another model, or before its decision was fitted anew"):
        Tracer.load([other], "cpu", 1)
    fewer = {source: np.stack([to_int16(sound(source, seed=number)) for number in range(9)]) for source in SOURCES}
    decide(copy, fewer, LOW)
    with pytest.raises(UserError, match="before its decision was fitted anew"):
        Tracer.load([copy], "cpu", 1)
    (copy / "enrolled" / "new.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged"):
        Tracer.load([copy], "cpu", 1)


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\tb", "a b", "-x"])
def test_names_that_no_source_has_are_refused(copy, whistles, name):
    enrol_here("new", [whistles], [copy])
    (copy / "enrolled" / "new.safetensors").rename(copy / "enrolled" / f"{name}.safetensors")
    with pytest.raises(UserError, match="its name is no source's") as told:
        Tracer.load([copy], "cpu", 1)
    assert str(told.value).isprintable()


@pytest.mark.parametrize("change", [lambda one: one[:-1], lambda one: one * np.nan, lambda one: one[np.newaxis]])
def test_a_prototype_of_another_space_is_refused(copy, whistles, change):
    enrol_here("new", [whistles], [copy])
    path = copy / "enrolled" / "new.safetensors"
    with safe_open(path, framework="np") as file:
        metadata, prototype = file.metadata(), file.get_tensor("prototype")
    save_file({"prototype": np.ascontiguousarray(change(prototype))}, path, metadata)
    with pytest.raises(UserError, match=r"damaged \(no \d+ finite numbers"):
        Tracer.load([copy], "cpu", 1)


def test_the_rule():
    known = 0.5
    assert winner(known, np.array([]), np.array([])) is None
    assert winner(known, np.array([0.4, 0.6]), np.zeros(2)) == 1
    assert winner(known, np.array([0.5, 0.4]), np.zeros(2)) is None
    assert winner(known, np.array([0.5, 0.4]), np.array([0.1, -0.2])) == 1
