"""A folder of audio as a corpus."""

import pytest

from srctrace.corpora.folder import scan_bona_fide, scan_folder
from srctrace.corpora.scan import scan
from srctrace.errors import UserError
from srctrace.grid import BONA_FIDE


def test_scan_folder(tmp_path):
    for name in ("en/a/x.wav", "en/a/deep/y.FLAC", "en/b/x.ogg", "en/b/notes.txt", "de/a/x.mp3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = scan_folder(tmp_path, ["en"])
    assert [(row["utterance"], row["path"], row["source"]) for row in rows] == [
        ("en/a/deep/y", "en/a/deep/y.FLAC", "a"),
        ("en/a/x", "en/a/x.wav", "a"),
        ("en/b/x", "en/b/x.ogg", "b"),
    ]
    with pytest.raises(UserError, match=r"no folder for language 'xx'.*de, en"):
        scan_folder(tmp_path, ["xx"])
    (tmp_path / "en" / "stray.wav").touch()
    with pytest.raises(UserError, match="outside a source's folder"):
        scan_folder(tmp_path, ["en"])
    with pytest.raises(UserError, match="no such folder"):
        scan_folder(tmp_path / "nowhere", ["en"])


def test_real_speech_is_a_source_of_its_own(tmp_path):
    for name in ("corpus/en/a/1.wav", "corpus/en/a/2.wav", "corpus/en/a/3.wav", "corpus/en/b/1.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("corpus/en/b/2.wav", "corpus/en/b/3.wav", "real/en_US/book/x.wav", "real/en/y.wav", "real/de/z.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows, in_set, out_of_set = scan("folder", tmp_path / "corpus", [], ["en"], bona_fide=tmp_path / "real")
    assert (in_set, out_of_set) == (["a", "b"], [BONA_FIDE])
    real = [row for row in rows if row["source"] == BONA_FIDE]
    assert [row["path"] for row in real] == [str(tmp_path / "real/en/y.wav"), str(tmp_path / "real/en_US/book/x.wav")]
    assert {row["language"] for row in real} == {"en"}
    with pytest.raises(UserError, match=r"no audio files.*of fr; folders found: de, en, en_US"):
        scan_bona_fide(tmp_path / "real", ["fr"])
    with pytest.raises(UserError, match=r"nowhere: no such folder: set corpus\.bona_fide"):
        scan_bona_fide(tmp_path / "nowhere", ["en"])
