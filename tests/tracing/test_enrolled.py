"""New sources from a few utterances."""

import shutil

import numpy as np
import pytest
import soundfile

from srctrace.audio import to_int16
from srctrace.errors import UserError
from srctrace.tracing import Tracer
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
    with pytest.raises(UserError, match="standard input"):
        enrol_here("new", ["-"], [copy])
    assert not (copy / "enrolled").exists()


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


def test_the_rule():
    known = 0.5
    assert winner(known, np.array([]), np.array([])) is None
    assert winner(known, np.array([0.4, 0.6]), np.zeros(2)) == 1
    assert winner(known, np.array([0.5, 0.4]), np.zeros(2)) is None
    assert winner(known, np.array([0.5, 0.4]), np.array([0.1, -0.2])) == 1
