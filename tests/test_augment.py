"""Augmentation: exact SNR, addressed draws, partitioned noise, defined silence."""

import numpy as np
import pytest
import soundfile

from srctrace.augment import apply, draw, mix, open_bank, pack_bank, reverberate
from srctrace.errors import UserError

RATE = 16000


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    root = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for category, count in (("musan/noise", 6), ("musan/music", 6), ("musan/speech", 30), ("rirs", 6)):
        (root / category / "x").mkdir(parents=True)
        for index in range(count):
            length = 4000 if category == "rirs" else RATE * (1 if index % 2 else 6)
            decay = np.exp(-np.arange(length) / 500) if category == "rirs" else 1
            soundfile.write(root / category / "x" / f"{index}.wav", 0.1 * rng.normal(size=length) * decay, RATE)
    pack_bank(root / "musan", root / "rirs", root / "bank.npy", seed=0)
    return open_bank(root / "bank.npy")


@pytest.fixture
def speech():
    rng = np.random.default_rng(1)
    return (3000 * rng.normal(size=4 * RATE)).clip(-32768, 32767).astype(np.int16)


def split_of(bank, index):
    return bank.store.rows[index]["split"]


def test_no_file_serves_two_splits_and_every_split_has_some(bank):
    assert sum(map(len, bank.members.values())) == len(bank.store)
    for category in ("noise", "music", "speech", "rir"):
        for split in ("train", "dev", "eval"):
            assert bank.members[category, split]
    for variant in ("noise", "music", "babble", "reverb"):
        for split in ("train", "dev", "eval"):
            for number in range(20):
                assert {split_of(bank, i) for i in draw(bank, f"u{number}", variant, split, 0).files} == {split}


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


def test_draws_are_addressed(bank):
    assert draw(bank, "u", "noise", "train", 0) == draw(bank, "u", "noise", "train", 0)
    assert len({draw(bank, f"u{i}", "noise", "train", 0) for i in range(20)}) == 20
    assert draw(bank, "u", "noise", "train", 0) != draw(bank, "u", "noise", "train", 1)
    assert draw(bank, "u", "noise", "train", 0).snr != draw(bank, "u", "music", "train", 0).snr


@pytest.mark.parametrize(("variant", "low", "high"), [("noise", 0, 15), ("music", 5, 15), ("babble", 13, 20)])
def test_snr_is_exact_and_within_its_range(bank, speech, variant, low, high):
    drawn = []
    for number in range(30):
        plan = draw(bank, f"u{number}", variant, "train", 0)
        clean = apply(draw(bank, f"u{number}", "clean", "train", 0), speech, bank)
        added = apply(plan, speech, bank).astype(np.float64) - clean
        snr = 10 * np.log10(np.mean(clean.astype(np.float64) ** 2) / np.mean(added**2))
        assert snr == pytest.approx(plan.snr, abs=0.01)
        drawn.append(plan.snr)
    assert low <= min(drawn) < low + 0.3 * (high - low)
    assert high >= max(drawn) > high - 0.3 * (high - low)


def test_babble_is_three_to_eight_talkers(bank):
    counts = [len(draw(bank, f"u{i}", "babble", "train", 0).files) for i in range(200)]
    assert set(counts) == {3, 4, 5, 6, 7, 8}
    plan = draw(bank, "u", "babble", "train", 0)
    assert len(set(plan.files)) == len(plan.files)


def test_every_variant_comes_from_the_clean_one(bank, speech):
    """Applying one variant leaves the next unchanged: nothing accumulates."""
    plan = draw(bank, "u", "music", "train", 0)
    alone = apply(plan, speech, bank)
    apply(draw(bank, "u", "noise", "train", 0), speech, bank)
    np.testing.assert_array_equal(apply(plan, speech, bank), alone)


def test_reverb_is_a_convolution_with_unit_energy():
    rng = np.random.default_rng(0)
    speech, response = rng.normal(size=400).astype(np.float32), rng.normal(size=90).astype(np.float32)
    expected = np.convolve(speech.astype(np.float64), response / np.sqrt(np.sum(response.astype(np.float64) ** 2)))
    np.testing.assert_allclose(reverberate(speech, response), expected[:400], atol=1e-5)


def test_silence_is_defined(bank, speech):
    silent = np.zeros(4 * RATE, np.int16)
    for variant in ("clean", "noise", "music", "babble", "reverb"):
        assert not apply(draw(bank, "u", variant, "eval", 0), silent, bank).any()
    loud = speech.astype(np.float32)
    np.testing.assert_array_equal(mix(loud, np.zeros(len(loud)), 10.0), loud)
    np.testing.assert_array_equal(reverberate(loud, np.zeros(10, np.float32)), loud)


def test_too_small_a_bank_is_refused(tmp_path):
    for category in ("noise", "music", "speech"):
        (tmp_path / "musan" / category).mkdir(parents=True)
        for index in range(4):
            soundfile.write(tmp_path / "musan" / category / f"{index}.wav", np.ones(100) * 0.1, RATE)
    with pytest.raises(UserError, match=r"speech: 4 audio files.*need 9"):
        pack_bank(tmp_path / "musan", tmp_path / "rirs", tmp_path / "bank.npy", seed=0)
