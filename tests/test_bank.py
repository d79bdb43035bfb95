"""The noise bank: partitioned, and of what it should be."""

import numpy as np
import pytest
import soundfile

from srctrace.bank import CATEGORIES, Bank, open_bank, pack_bank
from srctrace.errors import UserError
from tests.mlaad_tree import write_noise_as_released
from tests.noise_files import RATE, small_bank


def test_no_file_serves_two_splits_and_every_split_has_some(tmp_path):
    bank = small_bank(tmp_path)
    assert len(bank) == 48
    assert sorted(index for members in bank.members.values() for index in members) == list(range(48))
    assert set(bank.members) == {(category, split) for category in CATEGORIES for split in ("train", "dev", "eval")}


def test_signals_are_those_of_the_files(tmp_path):
    bank = small_bank(tmp_path)
    for record, row in enumerate(bank.store.rows):
        root = tmp_path / ("rirs" if row["category"] == "rir" else f"musan/{row['category']}")
        np.testing.assert_array_equal(bank.signal(record), soundfile.read(root / row["file"], dtype="int16")[0])


def test_a_damaged_recording_is_told_when_it_is_asked_for(tmp_path):
    small_bank(tmp_path)
    with open(tmp_path / "bank.npy", "r+b") as file:
        file.seek(200)
        file.write(b"damage")
    bank = open_bank(tmp_path / "bank.npy")
    bank.check([1])
    with pytest.raises(UserError, match="record 0 or its row"):
        bank.check([1, 0])


def test_a_bank_of_arrays():
    signals = [np.arange(5, dtype=np.int16), np.arange(3, dtype=np.int16)]
    bank = Bank.of(signals)
    assert len(bank) == 2
    for record, signal in enumerate(signals):
        np.testing.assert_array_equal(bank.signal(record), signal)
    assert len(Bank.of([])) == 0


def test_rirs_noises_as_released(tmp_path):
    """The archive holds noise too, which is no impulse response, and responses of arrays."""
    rng = np.random.default_rng(0)
    for category, count in (("noise", 3), ("music", 3), ("speech", 9)):
        (tmp_path / "musan" / category / "x").mkdir(parents=True)
        for index in range(count):
            soundfile.write(tmp_path / "musan" / category / "x" / f"{index}.wav", 0.1 * rng.normal(size=RATE), RATE)
    names = (
        "pointsource_noises/noise-free-sound-0000.wav",
        "real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav",
        "real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav",
        "simulated_rirs/largeroom/Room001/Room001-00001.wav",
        "simulated_rirs/smallroom/Room001/Room001-00001.wav",
    )
    for name in names:
        path = tmp_path / "RIRS_NOISES" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.stack([np.r_[0.5, np.zeros(99)], np.r_[np.zeros(99), 0.5]], 1), RATE)
    pack_bank(tmp_path / "musan", tmp_path / "RIRS_NOISES", tmp_path / "bank.npy", seed=0)
    bank = open_bank(tmp_path / "bank.npy")
    found = [index for (category, _), members in bank.members.items() if category == "rir" for index in members]
    assert {bank.store.rows[index]["file"] for index in found} == set(names[2:])
    for index in found:
        np.testing.assert_array_equal(np.flatnonzero(bank.signal(index)), [0])  # the first channel alone


def test_musan_and_rirs_noises_with_all_that_lies_in_them(tmp_path):
    """Lists, licences and what other systems leave are no audio; of 36 responses, every fourth is of an array."""
    small_bank(tmp_path / "plain")
    write_noise_as_released(tmp_path, tmp_path / "plain")
    (tmp_path / "musan" / "noise" / "us-gov" / "._noise-us-gov-0000.wav").write_bytes(b"\0\5\x16\7")
    pack_bank(tmp_path / "musan", tmp_path / "RIRS_NOISES", tmp_path / "bank.npy", seed=0)
    bank, plain = open_bank(tmp_path / "bank.npy"), open_bank(tmp_path / "plain" / "bank.npy")
    for category in CATEGORIES:
        mine, theirs = (
            sorted(
                each.signal(index).tobytes() for index, row in enumerate(each.store.rows) if row["category"] == category
            )
            for each in (bank, plain)
        )
        assert mine == theirs
    real = tmp_path / "RIRS_NOISES" / "real_rirs_isotropic_noises"  # given by itself, it holds noise all the same
    for index in range(2):
        soundfile.write(real / f"RVB2014_type2_rir_room_{index}.wav", np.r_[0.5, np.zeros(99)], RATE)
    pack_bank(tmp_path / "musan", real, tmp_path / "real.npy", seed=0)
    files = [row["file"] for row in open_bank(tmp_path / "real.npy").store.rows if row["category"] == "rir"]
    assert len(files) == 4
    assert not any("noise" in file for file in files)


def test_too_small_a_bank_is_refused(tmp_path):
    for category in ("noise", "music", "speech"):
        (tmp_path / "musan" / category).mkdir(parents=True)
        for index in range(4):
            soundfile.write(tmp_path / "musan" / category / f"{index}.wav", np.ones(100) * 0.1, RATE)
    with pytest.raises(UserError, match=r"speech: 4 audio files.*need 9"):
        pack_bank(tmp_path / "musan", tmp_path / "rirs", tmp_path / "bank.npy", seed=0)
