"""The list of checkpoints, and how a hub's name is told from a folder's path."""

import re
import subprocess
import sys

import pytest

from srctrace.frontends.catalogue import CHECKPOINTS, MATCHED, MIXED, find, is_hub_name


def test_every_checkpoint_is_pinned_to_a_commit_and_has_a_licence():
    assert len(CHECKPOINTS) == 9
    for name, checkpoint in CHECKPOINTS.items():
        assert checkpoint.hub.partition("/")[2] == name == checkpoint.name
        assert re.fullmatch(r"[0-9a-f]{40}", checkpoint.revision)
        assert checkpoint.licence == "apache-2.0"
    assert len({checkpoint.revision for checkpoint in CHECKPOINTS.values()}) == 9


def test_the_matched_front_end_has_one_checkpoint_per_language_and_one_for_several():
    assert MATCHED["xlsr-53-matched"] == {
        "en": "wav2vec2-large-xlsr-53-english",
        "de": "wav2vec2-large-xlsr-53-german",
        "fr": "wav2vec2-large-xlsr-53-french",
        "it": "wav2vec2-large-xlsr-53-italian",
        "pl": "wav2vec2-large-xlsr-53-polish",
        "ru": "wav2vec2-large-xlsr-53-russian",
    }
    assert MIXED.keys() == MATCHED.keys()
    assert set(MIXED.values()) < CHECKPOINTS.keys()


@pytest.mark.parametrize(
    "text", ["wav2vec2-xls-r-300m", "facebook/wav2vec2-xls-r-300m", "a/b", "microsoft/wavlm_base.plus", "x1"]
)
def test_names(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_hub_name(text)
    (tmp_path / text).mkdir(parents=True)
    assert not is_hub_name(text)  # the folder is meant


@pytest.mark.parametrize(
    "text", ["data/models/x", "./x", "../x", "/x", "x/", "~/x", "", "a//b", ".hidden/x", "a b/c", "a/b..c", "a--b/c"]
)
def test_paths(text):
    assert not is_hub_name(text)


def test_a_checkpoint_is_found_by_either_name():
    by_name = find("wav2vec2-large-xlsr-53-polish")
    assert by_name is find("jonatasgrosman/wav2vec2-large-xlsr-53-polish")
    assert by_name.language == "pl"
    assert find("facebook/wav2vec2-large-xlsr-53-polish") is None


def test_the_workflow_can_import_it_cheaply():
    code = "import sys, srctrace.frontends.catalogue as c; sys.exit(any(m in sys.modules for m in ('torch', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
