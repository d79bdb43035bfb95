"""What the commands print, draw and return."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from srctrace.cli import main
from srctrace.tracing.text import clock, shown
from tests.tracing.small_models import RATE, SOURCES, STRANGER, sound


def run(*words) -> int:
    return main([*map(str, words), "--device", "cpu", "--threads", "1"])


def test_the_table(capsys, model, strict, sounds):
    assert run("trace", sounds, "--model", model) == 1
    out, err = capsys.readouterr()
    assert f"{sounds / 'broken.wav'}: cannot be read as audio" in err
    lines = out.splitlines()
    assert lines[0].split() == ["file", "verdict", "source", "probability", "score"]
    of = {line.split()[0].rpartition("/")[2]: line for line in lines[1:] if ".wav" in line}
    assert "known source     hum" in of["hum.wav"]
    assert ">=" in of["hum.wav"]
    assert "whole" in out
    stretches = ["0:00.0 - 0:08.0 known source hum ", "0:08.0 - 0:12.0 known source hiss "]
    assert any(stretch in " ".join(out.split()) for stretch in stretches)
    assert "trained on sounds: en" in out
    assert "The speech is taken to be synthetic" in out
    assert "Not tested on real speech" in out
    assert run("trace", sounds / "long.wav", "--model", strict) == 0
    out = capsys.readouterr().out
    assert "unknown source   (" in out
    assert " < " in out
    assert "whole" not in out


def test_one_file_has_its_ranking(capsys, model, undecided, sounds):
    assert run("trace", sounds / "hum.wav", "--model", model) == 0
    out = capsys.readouterr().out
    assert "of the 3 known sources:" in out
    assert all(f"    {source}" in out for source in SOURCES)
    assert run("trace", sounds / "hum.wav", "--model", undecided) == 0
    out = capsys.readouterr().out
    assert "no verdict, and probabilities as they come" in out
    assert "known source  " not in out


def test_json_lines(capsys, model, sounds):
    assert run("trace", sounds, "--model", model, "--json") == 1
    traces = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [trace["file"] for trace in traces] == sorted(map(str, sounds.iterdir()))
    of = {trace["file"].rpartition("/")[2]: trace for trace in traces}
    assert of["hum.wav"]["verdict"] == "known source"
    assert of["hum.wav"]["ranking"][0]["source"] == "hum"
    assert len(of["long.wav"]["segments"]) == 12
    assert "cannot be read" in of["broken.wav"]["error"]
    assert of["hum.wav"]["basis"]["models"][0]["decision"]["n_dev"] == 30
    assert of["hum.wav"]["basis"]["tested_on_real_speech"] is False


def test_tsv(capsys, model, sounds):
    assert run("trace", sounds, "--model", model, "--tsv") == 1
    header, *lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert header[-4:] == [*(f"p_{source}" for source in SOURCES), "error"]
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert [row["file"] for row in rows] == sorted(map(str, sounds.iterdir()))
    of = {row["file"].rpartition("/")[2]: row for row in rows}
    assert (of["hum.wav"]["source"], of["hum.wav"]["probability"]) == ("hum", of["hum.wav"]["p_hum"])
    assert (of["broken.wav"]["verdict"], of["broken.wav"]["p_hum"]) == ("", "")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_picture(capsys, tmp_path, model, sounds, suffix):
    assert run("trace", sounds / "long.wav", "--model", model, "--plot", tmp_path / f"a{suffix}") == 0
    assert (tmp_path / f"a{suffix}").stat().st_size > 5000


def test_the_picture_of_much_is_small(tmp_path, model, monkeypatch):
    """Neighbours share bars and columns."""
    from srctrace.tracing import Tracer, plot

    monkeypatch.setattr(plot, "BARS", 3)
    monkeypatch.setattr(plot, "COLUMNS", 50)
    still = np.zeros(RATE)
    soundfile.write(tmp_path / "a.wav", np.concatenate([sound("hum", 3.0), still, sound(STRANGER, 4.0)]), RATE)
    tracer = Tracer.load([model], "cpu", 1)
    (trace,) = tracer.trace([tmp_path / "a.wav"])
    assert len(plot._groups(trace.segments)) == 3
    image = plot._image(trace, tracer.members[0], plot._view(tracer.members[0]).draw)
    assert image.shape == (20, 50)
    assert list(np.flatnonzero(np.isnan(image).all(axis=0))) == [*range(19, 25)] or np.isnan(image[:, 20:24]).all()
    monkeypatch.setattr(plot, "BARS", 2)  # the still second is in no bar, as it would be in the first of two
    assert [(group[0].start, group[-1].end) for group in plot._groups(trace.segments)] == [(0, 3), (4, 8)]
    monkeypatch.setattr(plot, "BARS", 1)
    assert [(group[0].start, group[-1].end) for group in plot._groups(trace.segments)] == [(0, 3), (4, 8)]
    plot.plot(trace, tracer.members[0], tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["FILE", "--model", "nowhere"], "nowhere: no such folder, and no name on the hub"),
        (["FILE", "FILE", "--model", "MODEL", "--plot", "a.png"], "--plot: give one file"),
        (["-", "--model", "MODEL", "--plot", "a.png"], "--plot: give one file"),
    ],
)
def test_mistakes_are_one_message(capsys, model, sounds, words, message):
    given = {"FILE": sounds / "hum.wav", "MODEL": model}
    assert run("trace", *(given.get(word, word) for word in words)) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert not out


def test_a_picture_of_no_format(capsys, model, sounds):
    with pytest.raises(SystemExit) as stopped:
        run("trace", sounds / "hum.wav", "--model", model, "--plot", "a.bmp")
    assert stopped.value.code == 2


def test_stretches_are_not_joined_across_silence(capsys, tmp_path, model):
    parts = [sound("hum", 6.0), sound("hiss", 1.0), np.zeros(2 * RATE), sound("hiss", 2.0)]
    soundfile.write(tmp_path / "a.wav", np.concatenate(parts), RATE)
    assert run("trace", tmp_path / "a.wav", "--model", model) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "0:06.0 - 0:07.0 known source hiss" in out
    assert "0:09.0 - 0:11.0 known source hiss" in out


def test_a_picture_of_a_pipe_is_refused_before_it_is_read(capsys, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert run("trace", tmp_path / "pipe", "--model", "nowhere", "--plot", "a.png") == 2
    assert "neither standard input nor a pipe" in capsys.readouterr().err


def test_a_name_that_is_no_text(capsys, tmp_path, model, sounds):
    """Is traced as any other, and shown with what is no text escaped; and so where it cannot be read."""
    for folder, name in (("good", "buzz.wav"), ("bad", "broken.wav")):
        (tmp_path / folder).mkdir()
        shutil.copy(sounds / name, tmp_path / folder / os.fsdecode(b"\x1b[31m\xff.wav"))
    files = [tmp_path / "bad", tmp_path / "good", sounds / "hum.wav"]
    assert run("trace", *files, "--model", model, "--tsv") == 1
    out, err = capsys.readouterr()
    assert [line.split("\t")[2] for line in out.splitlines()] == ["source", "", "buzz", "hum"]
    assert err.startswith(f"srctrace trace: {tmp_path}/bad/\\x1b[31m\\udcff.wav: cannot be read as audio")
    assert run("enrol", "new", tmp_path / "bad", "--model", shutil.copytree(model, tmp_path / "model")) == 2
    assert "bad/\\x1b[31m\\udcff.wav: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("owner/name@main", "in folders only; of one on the hub, have a copy: hf download"),
        ("EMPTY", "has no model.json: a model is a folder"),
        ("FILE", "a file: a model is a folder"),
    ],
)
def test_enrolling_in_what_is_no_folder_of_a_model(capsys, tmp_path, sounds, model, message):
    given = {"EMPTY": tmp_path, "FILE": sounds / "hum.wav"}
    assert run("enrol", "new", sounds / "hum.wav", "--model", given.get(model, model)) == 2
    assert message in capsys.readouterr().err


def test_messages_name_the_command_once(capsys, tmp_path, model):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    for file in ("-", tmp_path / "silent.wav"):
        assert run("enrol", "new", file, "--model", model) == 2
        assert capsys.readouterr().err.count("enrol:") == 1


def test_enrolling(capsys, tmp_path, model, sounds):
    copy = shutil.copytree(model, tmp_path / "model")
    assert run("enrol", "new", sounds / f"{STRANGER}.wav", "--model", copy) == 0
    assert capsys.readouterr().out == "new: enrolled from 1 segment\n"
    assert run("enrol", "new", sounds / f"{STRANGER}.wav", "--model", copy) == 2
    capsys.readouterr()
    assert run("trace", sounds / f"{STRANGER}.wav", "--model", copy) == 0
    out = capsys.readouterr().out
    assert "enrolled source  new" in out
    assert "similarity to the enrolled new: 1.000" in out


def test_standard_input_and_start_up(model, sounds):
    """In a process of its own, which has not imported what an LFCC model does not need."""
    code = (
        "import sys; from srctrace.cli import main; status = main(sys.argv[1:]); "
        "slow = {'transformers', 'matplotlib', 'torch._dynamo'} & set(sys.modules); "
        "print(slow, file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, "trace", "-", "--model", str(model), "--json"]
    audio = (sounds / "buzz.wav").read_bytes()
    done = subprocess.run(command, input=audio, capture_output=True, check=True)
    trace = json.loads(done.stdout)
    assert (trace["file"], trace["source"]) == ("-", "buzz")
    assert done.stderr.decode().splitlines()[-1] == "set()"


def test_names_are_shown_whatever_they_are():
    assert shown("a b\N{LATIN SMALL LETTER E WITH ACUTE}.wav") == "a b\N{LATIN SMALL LETTER E WITH ACUTE}.wav"
    assert shown("a\tb\n\udce9") == "a\\tb\\n\\udce9"


def test_the_clock():
    assert [clock(seconds) for seconds in (0, 4.04, 59.97, 64.5, 3600)] == [
        "0:00.0",
        "0:04.0",
        "1:00.0",
        "1:04.5",
        "60:00.0",
    ]
