"""The built-in corpus: complete, the same bytes every time, and no source given away by its level."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from srctrace.bank import open_bank, pack_bank
from srctrace.corpora.builtin import IN_SET, LANGUAGES, OUT_OF_SET, BuiltinOptions, make_noise, speak
from srctrace.corpora.builtin.channel import through_channel
from srctrace.corpora.builtin.grammars import CARRIERS
from srctrace.corpora.builtin.level import CREST, frame_levels, level
from srctrace.corpora.builtin.noise import N_MUSIC, N_NOISE, N_RIRS, N_SPEECH
from srctrace.corpora.builtin.text import draw_sentence, parse
from srctrace.corpora.builtin.voices import draw_voice, variant_file
from srctrace.errors import UserError

pytest.importorskip("espeakng_loader", reason="the built-in corpus is optional")
pytest.importorskip("pyworld", reason="the built-in corpus is optional")

SPEAKERS = 6


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The root of a small corpus in English, and its rows."""
    root = tmp_path_factory.mktemp("corpus")
    return root, speak("en", IN_SET, OUT_OF_SET, root, BuiltinOptions(speakers=SPEAKERS), processes=2)


def test_every_speaker_says_every_carrier_in_the_same_words_under_every_source(corpus):
    _, rows = corpus
    said = {source: {(r["speaker"], r["sentence"]) for r in rows if r["source"] == source} for source in IN_SET}
    assert len(said["formant"]) == SPEAKERS * len(CARRIERS["en"])
    assert all(pairs == said["formant"] for pairs in said.values())
    counts = Counter((row["source"], row["speaker"], row["text"]) for row in rows)
    assert set(counts.values()) == {1}


def test_out_of_set_sources_are_spoken_once_by_each_speaker(corpus):
    _, rows = corpus
    for source in OUT_OF_SET:
        assert sorted(row["speaker"] for row in rows if row["source"] == source) == [
            f"s{number + 1:02d}" for number in range(SPEAKERS)
        ]


def test_rows_are_a_manifest_of_the_files(corpus):
    root, rows = corpus
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {row["path"] for row in rows} == files
    for row in rows:
        assert row["utterance"] == f"en/{row['source']}/{row['speaker']}-{row['sentence']}"
        assert row["path"] == f"speech/{row['utterance']}.wav"
        assert row["sentence"].startswith(row["text"] + "-")
        assert row["text"].startswith("en-c")


def test_files_are_mono_int16_of_plausible_length_without_full_scale_samples(corpus):
    root, rows = corpus
    durations = []
    for row in rows:
        info = soundfile.info(root / row["path"])
        assert (info.samplerate, info.channels, info.subtype) == (22050, 1, "PCM_16")
        wave, _ = soundfile.read(root / row["path"], dtype="int16")
        assert 1000 < np.abs(wave.astype(int)).max() < 32000
        durations.append(info.duration)
    assert 2.5 < np.median(durations) < 4.5
    assert min(durations) > 1
    assert max(durations) < 9


def test_bytes_do_not_depend_on_run_processes_sources_or_speakers(corpus, tmp_path):
    root, _ = corpus
    program = (
        "import sys; from srctrace.corpora.builtin import BuiltinOptions, speak\n"
        "speak('en', ['klatt5', 'formant'], ['griffinlim', 'lpc', 'world'], sys.argv[1], BuiltinOptions(speakers=2))"
    )
    for run in ("first", "second"):
        subprocess.run([sys.executable, "-c", program, tmp_path / run], check=True, capture_output=True)
    first = {path.relative_to(tmp_path / "first"): path.read_bytes() for path in (tmp_path / "first").rglob("*.wav")}
    assert len(first) == 2 * (2 * len(CARRIERS["en"]) + 3)
    for path, data in first.items():
        assert (tmp_path / "second" / path).read_bytes() == data
        assert (root / path).read_bytes() == data


def test_another_seed_gives_other_voices_and_sentences():
    assert draw_voice(0, 0) != draw_voice(0, 1)
    assert [draw_sentence("en", c, 0, 0) for c in range(12)] != [draw_sentence("en", c, 0, 1) for c in range(12)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences(language):
    """Ids stand for exactly one text, speakers say different sentences, and carriers share none."""
    words_of = {}
    for carrier in range(len(CARRIERS[language])):
        for speaker in range(40):
            sentence = draw_sentence(language, carrier, speaker, 0)
            assert words_of.setdefault(sentence.id, sentence.words) == sentence.words
            assert not set("{}|") & set(sentence.words)
    assert len(words_of) == len(set(words_of.values())) == 40 * len(CARRIERS[language])


@pytest.mark.parametrize("language", LANGUAGES)
def test_grammars_are_well_formed(language):
    assert len(CARRIERS[language]) == 12
    for carrier in CARRIERS[language]:
        fixed, slots = parse(carrier)
        assert carrier.count("{") == carrier.count("}") == len(slots) >= 2
        assert carrier.endswith(".")
        assert "  " not in carrier
        assert not any("|" in text for text in fixed)
        for slot in slots:
            assert len(slot) == len(set(slot)) >= 3
            assert all(choice and choice == choice.strip() for choice in slot)


def test_speakers_are_apart():
    """No two of a corpus's speakers are close both in pitch and in vocal tract."""
    voices = [draw_voice(speaker, 0) for speaker in range(12)]
    for number, voice in enumerate(voices):
        for other in voices[:number]:
            pitch = abs(12 * np.log2(voice.pitch / other.pitch))  # semitones
            assert pitch > 2 or abs(voice.vocal_tract - other.vocal_tract) > 3
    assert len({variant_file(draw_voice(speaker, 0), "voice") for speaker in range(99)}) == 99


@pytest.mark.parametrize("language", ["en", "ru"])
def test_level_and_length_do_not_name_the_source(language, corpus, tmp_path):
    root, rows = corpus
    if language != "en":
        root, rows = tmp_path, speak(language, IN_SET, [], tmp_path, BuiltinOptions(speakers=SPEAKERS), processes=2)
    rows = [row for row in rows if row["source"] in IN_SET]
    features = np.array([_measure(root / row["path"]) for row in rows])
    sources, speakers = ([row[column] for row in rows] for column in ("source", "speaker"))
    for model in (
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(200, random_state=0),
    ):
        accuracy = cross_val_score(model, features, sources, groups=speakers, cv=GroupKFold(3)).mean()
        assert accuracy <= 0.35, f"{type(model).__name__}: chance is 0.25"


def test_levelling_makes_unlike_waves_alike():
    """A spiky wave with an offset and a smooth one get the same peak and RMS, and lose their silent ends."""
    rng = np.random.default_rng(0)
    burst = rng.standard_normal(22050) * np.exp(-np.arange(22050) / 8000)
    spiky = np.concatenate([np.zeros(11025), np.sign(burst) * np.abs(burst) ** 1.5, np.zeros(11025)]) + 0.01
    smooth = np.sin(np.arange(44100) * 0.05) * np.exp(-(np.linspace(-4, 4, 44100) ** 2))
    for wave in (spiky, smooth**3):
        result = level(wave, 22050, -26.0, np.random.default_rng(1)).astype(float) / 32768
        rms = 20 * np.log10(np.sqrt(np.mean(result**2)))
        assert rms == pytest.approx(-26, abs=0.01)
        assert 20 * np.log10(np.abs(result).max()) - rms <= CREST + 0.05
        assert abs(result.mean()) < 1e-5
        assert len(result) < len(wave)


def _measure(path: Path) -> list[float]:
    """RMS and peak (dB), offset, share of silent frames, and duration (s)."""
    wave, rate = soundfile.read(path)
    rms = np.sqrt(np.mean(wave**2))
    silent = np.mean(frame_levels(wave, rate) < -40)
    return [20 * np.log10(rms), 20 * np.log10(np.abs(wave).max()), wave.mean(), silent, len(wave) / rate]


@pytest.mark.parametrize(
    ("language", "sources", "out_of_set", "options", "message"),
    [
        ("xx", ["formant"], [], {}, "'xx'.*en, de, fr, it, pl, ru"),
        ("en", ["formant", "klatt9"], [], {}, "'klatt9'.*formant, klatt1"),
        ("en", ["formant"], ["vocoder"], {}, "'vocoder'.*world"),
        ("en", ["formant"], ["formant"], {}, "formant: named twice"),
        ("en", ["formant"], [], {"speakers": 0}, "speakers: 0"),
        ("en", ["formant"], [], {"out_of_set_sentences": 13}, "out_of_set_sentences: 13"),
    ],
)
def test_wrong_input_is_refused(language, sources, out_of_set, options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        speak(language, sources, out_of_set, tmp_path, BuiltinOptions(**options))
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match="pip install"):
        speak("en", IN_SET, [], tmp_path, BuiltinOptions())
    with pytest.raises(UserError, match="pip install"):
        make_noise(tmp_path, seed=0)


def test_noise_bank(tmp_path):
    """Shaped as MUSAN and RIRS_NOISES are, large enough to be split in three, and the same bytes from any process."""
    pytest.importorskip("pyroomacoustics", reason="the built-in corpus is optional")
    make_noise(tmp_path, seed=0, processes=2)
    for folder, least, shortest, longest in (
        ("musan/noise", 30, 9.9, 10.1),
        ("musan/music", 18, 9.9, 10.1),
        ("musan/speech", 24, 7, 10.1),
        ("rirs", 30, 0.1, 1.5),
    ):
        files = sorted((tmp_path / folder).glob("*/*.wav"))
        assert len(files) >= least
        assert len({path.read_bytes() for path in files}) == len(files)
        for path in files:
            wave, rate = soundfile.read(path, dtype="int16")
            assert rate == 16000
            assert wave.ndim == 1
            assert shortest <= len(wave) / rate <= longest
            assert 0 < np.abs(wave.astype(int)).max() < 32767
    assert sorted(path.name for path in tmp_path.iterdir()) == ["musan", "noise.tsv", "rirs"]
    # What the listing says is what is packed; a file that got lost is noticed.
    listing = tmp_path / "noise.tsv"
    pack_bank(tmp_path / "musan", tmp_path / "rirs", tmp_path / "bank.npy", seed=0, listing=listing)
    assert len(open_bank(tmp_path / "bank.npy")) == N_NOISE + N_MUSIC + N_SPEECH + N_RIRS
    (tmp_path / "musan" / "music" / "builtin" / "03.wav").unlink()
    with pytest.raises(UserError, match=r"music file 'builtin/03.wav' is listed but not there: delete .*noise.tsv"):
        pack_bank(tmp_path / "musan", tmp_path / "rirs", tmp_path / "again.npy", seed=0, listing=listing)
    assert not (tmp_path / "again.npy").exists()


def test_a_language_has_one_channel_for_all():
    click = np.zeros(4001)
    click[2000] = 1.0
    spectra = {}
    for language in ("en", "fr"):
        heard = through_channel(click, language, 0, 22050)
        assert len(heard) == len(click)
        assert np.argmax(np.abs(heard)) == 2000  # no delay
        np.testing.assert_array_equal(heard, through_channel(click, language, 0, 22050))
        spectra[language] = 20 * np.log10(np.abs(np.fft.rfft(heard)))[400:2500]  # 2 to 14 kHz, in dB
    assert np.abs(spectra["en"] - spectra["fr"]).max() > 1.0
    assert max(np.abs(spectrum).max() for spectrum in spectra.values()) < 20.0
