"""Decoding: what works, what is refused, and what is said of a file."""

import numpy as np
import pytest
import soundfile

from srctrace.audio import decode, fit, to_int16
from srctrace.errors import UserError
from srctrace.rng import generator


def tone(rate: int, seconds: float = 1.0, frequency: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def test_int16_at_16_khz_comes_back_bit_for_bit(tmp_path):
    samples = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    np.testing.assert_array_equal(decode(tmp_path / "a.wav").samples, samples)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype", "suffix"),
    [
        (48000, 1, "PCM_16", "wav"),
        (48000, 8, "PCM_24", "wav"),
        (16000, 1, "PCM_U8", "wav"),
        (8000, 2, "FLOAT", "wav"),
        (22050, 1, "PCM_16", "flac"),
        (44100, 2, None, "ogg"),
        (44100, 1, None, "mp3"),
    ],
)
def test_any_rate_width_and_channels(tmp_path, rate, channels, subtype, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.tile(tone(rate)[:, None], (1, channels)), rate, subtype=subtype)
    clip = decode(path)
    assert (clip.sample_rate, clip.channels) == (rate, channels)
    assert len(clip.samples) == pytest.approx(16000, abs=1200)  # mp3 pads
    middle = clip.samples[4000:12000] / 32768
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * 16000 / len(middle) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(16000), -tone(16000)], axis=1), 16000)
    assert np.abs(decode(tmp_path / "a.wav").samples).max() <= 1


def test_facts(tmp_path):
    signal = np.concatenate([tone(16000, frequency=1000), np.zeros(16000)]) + 0.01
    soundfile.write(tmp_path / "a.wav", signal, 16000, subtype="FLOAT")
    clip = decode(tmp_path / "a.wav")
    assert clip.duration == pytest.approx(2)
    assert clip.dc == pytest.approx(0.01, abs=1e-4)
    assert clip.peak == pytest.approx(20 * np.log10(0.51), abs=0.01)
    assert clip.rms == pytest.approx(20 * np.log10(np.sqrt(np.mean(signal**2))), abs=0.01)
    assert 900 < clip.bandwidth < 1200
    soundfile.write(tmp_path / "b.wav", np.concatenate([tone(16000), np.zeros(16000)]), 16000)
    assert decode(tmp_path / "b.wav").silence == pytest.approx(0.5, abs=0.03)


def test_silence_is_allowed(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1000), 16000)
    clip = decode(tmp_path / "a.wav")
    assert not clip.samples.any()
    assert clip.rms == -100


def make_bad(kind: str, path) -> None:
    if kind == "missing":
        return
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is not audio, whatever its name says")
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0), 16000)
    elif kind in ("nan", "infinity"):
        soundfile.write(path, np.array([0.0, np.nan if kind == "nan" else np.inf]), 16000, subtype="FLOAT")
    elif kind == "truncated":
        soundfile.write(path, tone(16000), 16000)
        path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "cannot be opened"),
        ("empty", "empty"),
        ("text", "cannot be read as audio"),
        ("no samples", "no samples"),
        ("nan", "NaN or infinity"),
        ("infinity", "NaN or infinity"),
        ("truncated", "truncated"),
    ],
)
def test_bad_files_are_named_and_refused(tmp_path, kind, message):
    path = tmp_path / "bad.wav"
    make_bad(kind, path)
    with pytest.raises(UserError, match=message) as caught:
        decode(path)
    assert "bad.wav" in str(caught.value)


@pytest.mark.parametrize("declared", [0, 0x7FFFF024, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_file_written_to_a_pipe_is_read(tmp_path, declared):
    """Whoever writes to a pipe does not know the size: sox, ffmpeg and others leave one of these."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.arange(1000, dtype=np.int16), 16000)
    content = bytearray(path.read_bytes())
    content[4:8] = declared.to_bytes(4, "little")
    content[40:44] = max(declared - 36, 0xFFFFFFFF * (declared == 0)).to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_array_equal(decode(path).samples, np.arange(1000))


def test_a_channel_can_be_chosen(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([np.full(400, 0.5), np.zeros(400)], 1), 16000)
    assert decode(tmp_path / "a.wav", channel=0).samples[100] == 16384
    assert decode(tmp_path / "a.wav").samples[100] == 8192


def test_truncated_flac_is_refused(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 48000), 16000)
    path.write_bytes(path.read_bytes()[:40000])
    with pytest.raises(UserError, match=r"a\.flac"):
        decode(path)


def test_fit_crops_at_the_drawn_offset_and_wraps():
    signal = np.arange(100, dtype=np.int16)
    crop = fit(signal, 30, generator(1, "u"))
    np.testing.assert_array_equal(crop, signal[crop[0] : crop[0] + 30])
    assert len({int(fit(signal, 30, generator(1, f"u{i}"))[0]) for i in range(50)}) > 10
    np.testing.assert_array_equal(fit(signal, 250, generator(1, "u")), np.tile(signal, 3)[:250])
    np.testing.assert_array_equal(fit(signal, 100, generator(1, "u")), signal)


def test_to_int16_clips():
    np.testing.assert_array_equal(to_int16(np.array([2.0, -2.0, 0.5])), [32767, -32768, 16384])
