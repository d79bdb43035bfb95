"""What `srctrace illustrate` makes: examples with their sounds, and maps of embeddings."""

import base64
import io
import json

import matplotlib.image
import numpy as np
import pytest
import soundfile

from srctrace import cli, grid
from srctrace.embeddings import COLUMNS
from srctrace.errors import UserError
from srctrace.report import examples
from srctrace.report.maps import COLOURS, maps
from srctrace.report.projection import MOST, measures, project
from srctrace.report.sound import LEVELS, ROWS, audio_address, spectrogram, spectrogram_address
from srctrace.store import write_store
from srctrace.tables import write_table

CONFIG = {
    "protocols": ["mono"],
    "corpus": {"languages": ["en", "de"], "sources": ["a", "b"]},
    "systems": ["lfcc-resnet18", "lfcc-ecapa-tdnn+aam"],
    "seeds": [3, 4],
}
TRIALS = 10  # of each source and language; every third is wrong


def content(address):
    return base64.b64decode(address.partition(",")[2])


def tone(hertz):
    return (9000 * np.sin(2 * np.pi * hertz * np.arange(64000) / 16000)).astype(np.int16)


@pytest.fixture
def run(tmp_path):
    """The files of a run that are illustrated."""
    chance = np.random.default_rng(1)
    names = {
        language: [(f"{language}/{source}/{n}", source, f"s{n % 3}") for source in "ab" for n in range(TRIALS)]
        for language in CONFIG["corpus"]["languages"]
    }
    everyone = [(language, *row) for language, rows in names.items() for row in rows]
    manifest = [
        {"utterance": name, "language": language, "source": source, "speaker": speaker}
        for language, name, source, speaker in everyone
    ]
    write_table(tmp_path / "manifest.tsv", [*manifest[0]], manifest)
    for language, rows in names.items():
        records = [({"utterance": name}, tone(300 + 50 * place)) for place, (name, *_) in enumerate(rows)]
        write_store(tmp_path / "waves" / f"{language}.npy", ["utterance"], records)
    for model in grid.models(CONFIG):
        folder = tmp_path / "models" / model.folder
        for language, rows in names.items():
            scores = [
                {
                    **{"utterance": name, "variant": variant, "label": source, "p_a": 0.25, "p_b": 0.75},
                    "predicted": source if place % 3 or variant != "clean" else "ba"["ab".index(source)],
                }
                for place, (name, source, _) in enumerate(rows)
                for variant in ("clean", "noise")
            ]
            write_table(folder / "scores" / f"{language}.tsv", [*scores[0]], scores)
        rows = [dict(zip(COLUMNS, (name, "clean", "eval", lang, source, speaker), strict=True))
                for lang, name, source, speaker in everyone]  # fmt: skip
        rows += [row | {"utterance": f"{row['utterance']}x", "split": "eval-unknown"} for row in rows[:4]]
        rows += [row | {"split": "train"} for row in rows[:4]] + [row | {"variant": "noise"} for row in rows[:4]]
        records = [(row, chance.normal(size=8).astype(np.float32) + 20 * (row["source"] == "a")) for row in rows]
        write_store(folder / "embeddings.npy", COLUMNS, records)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def illustrate(run, out):
    command = ["illustrate", "--config", str(run / "config.json"), "--results", str(run)]
    assert cli.main([*command, "--manifest", str(run / "manifest.tsv"), "--out", str(out)]) == 0
    return [json.loads((out / f"{name}.json").read_text()) for name in ("examples", "projection")]


def test_every_cell_has_some_of_its_wrong_trials(run):
    found, _ = illustrate(run, run / "out")
    assert len(found["cells"]) == 8
    for cell in found["cells"]:
        assert (cell["seed"], cell["n_trials"], cell["n_wrong"], len(cell["wrong"])) == (3, 20, 7, 2)
        for trial in cell["wrong"]:
            sound = found["sounds"][trial["utterance"]]
            assert sound["language"] == cell["test"]
            assert trial["predicted"] != sound["source"]
            assert trial["probability"] == {"a": 0.25, "b": 0.75}[trial["predicted"]]
        assert {found["sounds"][trial["utterance"]]["source"] for trial in cell["wrong"]} == {"a", "b"}
    assert len(found["sounds"]) == 4  # the same two of each language, however many cells show them


def test_illustrations_are_the_same_every_time(run):
    assert illustrate(run, run / "out") == illustrate(run, run / "again")
    for name in ("examples.json", "projection.json"):
        assert (run / "out" / name).read_bytes() == (run / "again" / name).read_bytes()


def test_sounds_stay_within_the_budget(run, monkeypatch):
    monkeypatch.setattr(examples, "BUDGET", 15_000)
    found, _ = illustrate(run, run / "out")
    size = sum(len(sound["audio"]) + len(sound["spectrogram"]) for sound in found["sounds"].values())
    assert 10_000 < size <= 15_000
    shown = {trial["utterance"] for cell in found["cells"] for trial in cell["wrong"]}
    assert shown == set(found["sounds"])
    assert {found["sounds"][name]["language"] for name in shown} == {"en", "de"}  # each has its first


def test_what_is_missing_is_named(run, capsys):
    (run / "waves" / "de.npy").unlink()
    (run / "waves" / "de.tsv").unlink()
    command = ["illustrate", "--config", str(run / "config.json"), "--results", str(run)]
    assert cli.main([*command, "--manifest", str(run / "manifest.tsv"), "--out", str(run)]) == 2
    assert "waves/de.tsv: no such table" in capsys.readouterr().err
    write_table(run / "few.tsv", ["utterance", "language", "source", "speaker"], [])
    with pytest.raises(UserError, match="was scored, but is not in the manifest"):
        examples.write_examples(CONFIG, run, run / "few.tsv", run / "examples.json")


def test_a_sound_can_be_played_and_looked_at():
    audio, rate = soundfile.read(io.BytesIO(content(audio_address(tone(1000)))))
    assert rate == 16000
    assert len(audio) / rate == pytest.approx(4, abs=0.1)
    peak = np.abs(np.fft.rfft(audio[16000:32000])).argmax()
    assert peak == pytest.approx(1000, abs=5)
    levels = spectrogram(tone(1000))
    assert levels.shape == (ROWS, 199)
    assert (levels[ROWS - 8] == LEVELS - 1).mean() > 0.9  # 1 kHz is the upper edge of the eighth band
    picture = matplotlib.image.imread(io.BytesIO(content(spectrogram_address(tone(1000)))), format="png")
    assert picture.shape[:2] == levels.shape
    assert picture[ROWS - 8, 100, 0] > picture[5, 100, 0]


def test_silence_has_a_spectrogram():
    assert spectrogram(np.zeros(64000, np.int16)).shape == (ROWS, 199)


def test_maps_have_clean_eval_trials_of_the_first_model(run):
    _, found = illustrate(run, run / "out")
    assert [(model["system"], model["train"], model["seed"]) for model in found["models"]] == [
        ("lfcc-resnet18", "en", 3),
        ("lfcc-ecapa-tdnn+aam", "en", 3),
    ]
    for model in found["models"]:
        assert len(model["points"]) == 44
        assert sum(not point["known"] for point in model["points"]) == 4
        places = np.array([[point["x"], point["y"]] for point in model["points"]])
        assert places.min(axis=0) == pytest.approx([0, 0])
        assert places.max(axis=0) == pytest.approx([1, 1])
        by = {row["by"]: row for row in model["measures"]}
        assert by["source"]["purity"] > 0.9
        assert by["language"]["purity"] < 0.8


def test_a_map_has_so_many_points_at_most(run):
    name = dict(zip(COLUMNS, ("", "clean", "eval", "en", "a", ""), strict=True))
    records = [(name | {"utterance": str(n)}, np.random.default_rng(n).normal(size=4)) for n in range(MOST + 50)]
    for system in CONFIG["systems"]:
        write_store(run / "models" / system / "en" / "seed3" / "embeddings.npy", COLUMNS, records)
    _, found = illustrate(run, run / "out")
    assert len(found["models"][0]["points"]) == MOST
    assert found["models"][0]["measures"] == []  # one source and language, and no speaker is known


@pytest.mark.parametrize("n", [1, 2, 3, 4, 30])
def test_few_points_have_places(n):
    places = project(np.random.default_rng(0).normal(size=(n, 5)))
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()


def test_measures():
    rows = [{"source": "ab"[n % 2], "language": "en", "speaker": "" if n < 4 else f"s{n % 3}"} for n in range(40)]
    vectors = np.array([[1.0, 0.01 * n] if n % 2 else [0.01 * n, 1.0] for n in range(40)])
    source, speaker = measures(rows, vectors)
    assert (source["by"], source["groups"], source["points"], source["purity"]) == ("source", 2, 40, 1.0)
    assert source["chance"] == pytest.approx(19 / 39)
    assert source["silhouette"] > 0.5
    assert (speaker["by"], speaker["points"]) == ("speaker", 36)


class Data:
    """What maps take of a report's data."""

    def __init__(self, names):
        points = [{"source": name, "language": "en", "speaker": "", "known": True, "x": 0, "y": 1} for name in names]
        self.projection = {"models": [{"system": "s", "train": "en", "seed": 1, "points": points, "measures": []}]}
        self.order = self

    unique = staticmethod(lambda names: sorted(set(names)))


def test_colours_beyond_those_that_can_be_told_apart_are_one():
    (few,) = maps(Data([f"n{n}" for n in range(COLOURS)]))
    assert [colour for _, colour in few.legends["source"]] == [*range(COLOURS)]
    (many,) = maps(Data([f"n{n:02d}" for n in range(COLOURS + 3)]))
    assert many.legends["source"][-1] == ("3 others", COLOURS)
    assert "language" not in many.legends
    assert few.points[0][:2] == (8, 8)
