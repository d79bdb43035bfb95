"""A folder of audio as a corpus."""

import pytest

from srctrace.corpora.folder import scan_folder
from srctrace.errors import UserError


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
