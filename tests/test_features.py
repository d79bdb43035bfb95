"""Feature sets: what is stored is the LFCC of what augmentation gives, for each utterance and variant."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from srctrace.augment import augment, draw, plan_of
from srctrace.bank import open_bank, pack_bank
from srctrace.errors import UserError
from srctrace.features import Utterances, open_features, pack_lfcc
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.store import open_store
from srctrace.waves import pack_waves

RATE = 16000


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for category, count in (("musan/noise", 3), ("musan/music", 3), ("musan/speech", 9), ("rirs", 3), ("en", 6)):
        (tmp_path / category).mkdir(parents=True)
        for index in range(count):
            soundfile.write(tmp_path / category / f"{index}.wav", rng.normal(0, 0.1, RATE + 100 * index), RATE)
    pack_bank(tmp_path / "musan", tmp_path / "rirs", tmp_path / "bank.npy", seed=0)
    return tmp_path


def rows(count=6):
    return [{"utterance": f"u{index}", "path": f"en/{index}.wav"} for index in range(count)]


def test_threads_and_order_change_nothing(root):
    pack_waves(rows(), root, root / "a.npy", 2.0, seed=0, threads=1)
    pack_waves(rows(), root, root / "b.npy", 2.0, seed=0, threads=4)
    assert (root / "a.npy").read_bytes() == (root / "b.npy").read_bytes()
    assert (root / "a.tsv").read_bytes() == (root / "b.tsv").read_bytes()
    pack_waves(rows()[::-1], root, root / "c.npy", 2.0, seed=0)
    np.testing.assert_array_equal(open_store(root / "c.npy").record(0), open_store(root / "a.npy").record(5))


def test_features_are_those_of_the_variants(root):
    pack_waves(rows(), root, root / "waves.npy", 1.0, seed=0)
    split_of = {"u0": "train", "u1": "dev", "u4": "eval"}
    variants = ["clean", "noise", "music", "babble", "reverb"]
    utterances = Utterances.open(root / "waves.npy", root / "bank.npy", split_of, variants, seed=7)
    pack_lfcc(utterances, root / "f.npy", LfccOptions())
    store, made = open_features(root / "f.npy")
    assert made == json.loads(json.dumps({"frontend": "lfcc"} | dataclasses.asdict(LfccOptions()) | {"seconds": 1.0}))
    assert [row["utterance"] for row in store.rows] == [u for u in split_of for _ in variants]
    bank, waves = open_bank(root / "bank.npy"), open_store(root / "waves.npy")
    for index, row in enumerate(store.rows):
        mix = draw(bank, row["utterance"], row["variant"], split_of[row["utterance"]], 7)
        wave = waves.record(int(row["utterance"][1:]))[None]
        audio = augment(wave, plan_of([[mix]], bank, wave.shape[1]), bank)
        np.testing.assert_array_equal(store.record(index), lfcc(audio[0], LfccOptions())[0])
        assert row["split"] == split_of[row["utterance"]]


def test_no_utterance_with_a_split_is_told(root):
    pack_waves(rows(), root, root / "waves.npy", 1.0, seed=0)
    with pytest.raises(UserError, match="none of its utterances has a split"):
        Utterances.open(root / "waves.npy", root / "bank.npy", {}, ["clean"], seed=0)
