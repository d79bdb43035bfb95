"""What a model is given of a file: the samples that decoding gives, in segments, in memory that does not grow."""

import io
import os
import threading
import tracemalloc

import numpy as np
import pytest
import soundfile

from srctrace.audio import SAMPLE_RATE, decode
from srctrace.errors import UserError
from srctrace.tracing.reading import PIECE, read_ahead
from srctrace.tracing.segments import LEAST_RATE, LEAST_REST, find_audio, segments
from tests.tracing.small_models import sound

LENGTH = 4 * SAMPLE_RATE
FORMATS = [
    *(("wav", "PCM_16", rate) for rate in (8000, 16000, 24000, 44100, 48000)),
    *(("wav", "PCM_24", 22050), ("wav", "FLOAT", 96000), ("flac", "PCM_16", 32000), ("aiff", "PCM_16", 16000)),
    *(("ogg", "VORBIS", 44100), ("opus", "OPUS", 48000), ("mp3", "MPEG_LAYER_III", 44100)),
]


def write(path, signal, rate=SAMPLE_RATE, subtype="PCM_16"):
    formats = {".opus": "OGG"}
    soundfile.write(path, signal, rate, subtype=subtype, format=formats.get(path.suffix))
    return path


@pytest.mark.parametrize(("suffix", "subtype", "rate"), FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_are_those_of_decoding(tmp_path, suffix, subtype, rate, channels):
    signal = np.stack([sound("hiss", 11.3, seed=channel, rate=rate) for channel in range(channels)], axis=1)
    path = write(tmp_path / f"a.{suffix}", signal, rate, subtype)
    decoded = decode(path).samples
    found = list(segments(path, 4.0))
    assert [segment.start for segment in found[:-1]] == [0.0, 4.0]
    off = 1 if suffix == "mp3" else 0  # libsndfile rounds otherwise after each block
    for segment, start in zip(found, (0, LENGTH, len(decoded) - LENGTH), strict=True):
        np.testing.assert_allclose(segment.samples, decoded[start : start + LENGTH], rtol=0, atol=off)
    assert found[-1].end == len(decoded) / SAMPLE_RATE
    assert found[-1].end - found[-1].start == pytest.approx(4.0)


@pytest.mark.parametrize(("name", "rate"), [("a.wav", 8000), ("a.wav", 16000), ("a.flac", 48000), ("a.mp3", 48000)])
def test_a_file_of_the_models_length_is_one_segment(tmp_path, name, rate):
    path = tmp_path / name
    soundfile.write(path, sound("hum", 4.0, rate=rate), rate)
    (only,) = segments(path, 4.0)
    np.testing.assert_array_equal(only.samples, decode(path).samples)


def test_a_short_file_is_repeated(tmp_path):
    path = write(tmp_path / "a.wav", sound("hum", 1.5))
    (only,) = segments(path, 4.0)
    np.testing.assert_array_equal(only.samples, np.resize(decode(path).samples, LENGTH))
    assert (only.start, only.end) == (0.0, 1.5)


@pytest.mark.parametrize(("rest", "count"), [(0.0, 2), (LEAST_REST - 0.01, 2), (LEAST_REST, 3)])
def test_a_tiny_rest_is_left_out(tmp_path, rest, count):
    found = list(segments(write(tmp_path / "a.wav", sound("hiss", 8.0 + rest)), 4.0))
    assert len(found) == count


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for minutes in (1, 20):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 8000, 1) as file:
            for _ in range(minutes):
                file.write(sound("hiss", 60.0, rate=8000))
        tracemalloc.start()
        assert sum(len(piece.segments) for piece in read_ahead([path], 4.0, 1)) == 15 * minutes
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_low_rate_takes_no_more_memory(tmp_path):
    """A block of as many frames would be 17 MB at 16 kHz."""
    path = write(tmp_path / "a.wav", np.resize(sound("hiss", 10.0), 300_000), rate=LEAST_RATE)
    tracemalloc.start()
    assert next(segments(path, 4.0)).end == 4.0
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def broken(path, kind):
    if kind == "missing":
        return path
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("no audio\n" * 100)
    elif kind == "without samples":
        write(path, np.empty(0))
    elif kind == "truncated":
        whole = write(path, sound("hiss", 6.0)).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "truncated flac":
        whole = write(path.with_suffix(".flac"), sound("hiss", 6.0)).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "NaN":
        write(path, np.where(np.arange(100_000) == 90_000, np.nan, 0.1), subtype="FLOAT")
    elif kind == "1 Hz":
        write(path, sound("hiss", 6.0), rate=1)
    elif kind == "folder":
        path.mkdir()
    elif kind == "raw":
        path = path.with_suffix(".raw")
        path.write_bytes(bytes(1000))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "cannot be opened: No such file"),
        ("empty", "the file is empty"),
        ("text", "cannot be read as audio"),
        ("without samples", "too short"),
        ("truncated", "truncated: "),
        ("truncated flac", "cannot be read as audio|truncated"),
        ("NaN", "holds NaN or infinity"),
        ("1 Hz", "1 samples per second, where speech has 1000"),
        ("folder", "a folder without audio"),
        ("raw", "cannot be read as audio"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, kind, message):
    path = broken(tmp_path / "a.wav", kind)
    with pytest.raises(UserError, match=message) as told:
        list(segments(path, 4.0))
    assert str(path) in str(told.value)


def test_standard_input_that_is_empty(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(UserError, match=r"^standard input: the file is empty"):
        list(segments("-", 4.0))


def test_a_named_pipe_is_read(tmp_path):
    """As a shell's <(ffmpeg …) is."""
    pipe, path = tmp_path / "pipe", write(tmp_path / "a.wav", sound("hum", 6.0))
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    found = list(segments(pipe, 4.0))
    writer.join()
    np.testing.assert_array_equal(found[0].samples, next(segments(path, 4.0)).samples)


def test_a_name_that_is_not_utf_8_is_read(tmp_path):
    path = write(tmp_path / "a.wav", sound("hum", 6.0))
    bad = tmp_path / os.fsdecode(b"bad\xff.wav")
    bad.write_bytes(path.read_bytes())
    (piece,) = read_ahead(find_audio([tmp_path / bad.name]), 4.0, 1)
    assert not piece.error
    np.testing.assert_array_equal(piece.segments[0].samples, next(segments(path, 4.0)).samples)


def test_whatever_happens_to_a_file_the_others_are_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", sound("hum", 4.0))
    whole = soundfile.SoundFile

    def fail(error):
        def opened(file):
            if file.endswith(b"bad.wav"):
                raise error
            return whole(file)

        (tmp_path / "bad.wav").write_bytes(path.read_bytes())
        monkeypatch.setattr(soundfile, "SoundFile", opened)
        return list(read_ahead([tmp_path / "bad.wav", path], 4.0, 1))

    bad, good = fail(ZeroDivisionError("no reason"))
    assert bad.error.startswith(f"{tmp_path / 'bad.wav'}: cannot be read (ZeroDivisionError: no reason)")
    assert (len(good.segments), good.error) == (1, "")
    with pytest.raises(MemoryError):
        fail(MemoryError())


def test_silence_is_told_apart(tmp_path):
    quiet = 0.2 + 1e-4 * sound("hiss", 4.0)  # a direct current is no sound
    found = segments(write(tmp_path / "a.wav", np.concatenate([quiet, sound("hiss", 4.0)])), 4.0)
    assert [segment.silent for segment in found] == [True, False]


def test_folders_stand_for_their_audio(tmp_path):
    for name in ("b/2.WAV", "b/1.flac", "b/c/3.opus", "b/notes.txt", "b/._1.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_audio(["no.wav", tmp_path / "b", "-"])
    assert found == ["no.wav", *(str(tmp_path / "b" / name) for name in ("1.flac", "2.WAV", "c/3.opus")), "-"]


def test_pieces_come_in_the_order_of_files(tmp_path):
    lengths = [1.0, 50.0, 4.0, 4.0 * PIECE]
    files = [write(tmp_path / f"{number}.wav", sound("hiss", length)) for number, length in enumerate(lengths)]
    files.insert(2, tmp_path / "none.wav")
    pieces = list(read_ahead(files, 4.0, 2))
    counts, total = [], 0
    for piece in pieces:
        assert len(piece.segments) <= PIECE
        total += len(piece.segments)
        if piece.last:
            counts.append(total)
            total = 0
    assert counts == [1, 13, 0, 1, PIECE]
    assert [bool(piece.error) for piece in pieces if piece.last] == [False, False, True, False, False]
