"""Augmentation: against float64, exact SNR, addressed draws, defined silence."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srctrace.augment import (
    ADD,
    REVERB,
    SNR,
    Mix,
    Plan,
    add_noise,
    augment,
    augment_lfcc,
    draw,
    plan_of,
    reverberate,
)
from srctrace.bank import Bank
from srctrace.errors import UserError
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.grid import VARIANTS
from tests.mixing_in_float64 import mixes_in_float64
from tests.noise_files import RATE, small_bank

RANDOM = np.random.default_rng(1)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return small_bank(tmp_path_factory.mktemp("noise"))


@pytest.fixture
def speech():
    rng = np.random.default_rng(1)
    return (3000 * rng.normal(size=(3, 2 * RATE))).clip(-32768, 32767).astype(np.int16)


def drawn(bank, names, variants=VARIANTS, samples=2 * RATE, split="train", seed=0):
    return plan_of([[draw(bank, name, variant, split, seed) for variant in variants] for name in names], bank, samples)


def test_draws_keep_to_their_split(bank):
    for variant in ("noise", "music", "babble", "reverb"):
        for split in ("train", "dev", "eval"):
            for number in range(20):
                records = draw(bank, f"u{number}", variant, split, 0).records
                assert {bank.store.rows[record]["split"] for record in records} == {split}


def test_draws_are_addressed(bank):
    assert draw(bank, "u", "noise", "train", 0) == draw(bank, "u", "noise", "train", 0)
    assert len({draw(bank, f"u{i}", "noise", "train", 0) for i in range(20)}) == 20
    assert draw(bank, "u", "noise", "train", 0) != draw(bank, "u", "noise", "train", 1)
    assert draw(bank, "u", "noise", "train", 0).snr != draw(bank, "u", "music", "train", 0).snr


def test_draws_are_even(bank):
    """Each recording of a split is drawn as often as any other, alone or in a babble, and SNRs fill their range."""
    for variant, category in (("noise", "noise"), ("babble", "speech"), ("reverb", "rir")):
        mixes = [draw(bank, f"u{i}", variant, "train", 0) for i in range(2000)]
        records = np.concatenate([mix.records for mix in mixes])
        members = bank.members[category, "train"]
        counts = np.array([np.sum(records == member) for member in members])
        assert counts.sum() == len(records)
        np.testing.assert_allclose(counts, len(records) / len(members), rtol=0.15)
    snrs = [draw(bank, f"u{i}", "noise", "train", 0).snr for i in range(2000)]
    np.testing.assert_allclose(np.quantile(snrs, [0, 0.25, 0.5, 0.75, 1]), np.linspace(*SNR["noise"], 5), atol=0.6)


def test_babble_is_three_to_eight_talkers(bank):
    mixes = [draw(bank, f"u{i}", "babble", "train", 0) for i in range(600)]
    counts = [len(mix.records) for mix in mixes]
    for talkers in range(3, 9):
        assert 60 < counts.count(talkers) < 140
    assert all(len(set(mix.records)) == len(mix.records) == len(mix.places) for mix in mixes)


def test_a_start_is_any_that_lasts_or_any_of_a_short_recording():
    bank = Bank.of([np.ones(10, np.int16), np.ones(100, np.int16), np.ones(30, np.int16)])
    starts = {
        record: {
            int(plan_of([[Mix(ADD, (record,), (place,))]], bank, 30).offsets[0])
            for place in np.linspace(0, 1, 1000, endpoint=False)
        }
        for record in range(3)
    }
    assert starts == {0: set(range(10)), 1: set(range(71)), 2: set(range(30))}


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_the_definition_in_float64(bank, speech, dtype):
    waves = speech if dtype == "int16" else (speech / 32768).astype(np.float32)
    plan = drawn(bank, ["a", "b", "c"])
    assert set(plan.kinds.flat) == {0, 1, 2}
    np.testing.assert_allclose(augment(waves, plan, bank), mixes_in_float64(waves, plan, bank), rtol=0, atol=1e-6)


def odd_bank() -> Bank:
    lengths = (1, 7, 250, 1000, 4001)
    random = np.random.default_rng(2)
    return Bank.of([random.integers(-30000, 30000, length).astype(np.int16) for length in lengths])


mixes = st.one_of(
    st.builds(Mix),
    st.builds(lambda record: Mix(REVERB, (record,)), st.integers(0, 4)),
    st.builds(
        lambda parts, snr: Mix(ADD, tuple(r for r, _ in parts), tuple(p for _, p in parts), snr),
        st.lists(st.tuples(st.integers(0, 4), st.floats(0, 0.999)), max_size=8),
        st.floats(-20, 40),
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(30, 3000),  # of so many, parts do not happen to cancel each other out
    plan=st.integers(1, 3).flatmap(
        lambda variants: st.lists(st.lists(mixes, min_size=variants, max_size=variants), min_size=1, max_size=3)
    ),
    threads=st.integers(1, 3),
)
def test_any_plan_and_any_length(samples, plan, threads):
    bank = odd_bank()
    waves = np.random.default_rng(3).normal(0, 0.1, (len(plan), samples)).astype(np.float32)
    arrays = plan_of(plan, bank, samples)
    expected = mixes_in_float64(waves, arrays, bank)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(augment(waves, arrays, bank, threads), expected, rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize("samples", range(1, 30))
def test_very_short_utterances(samples):
    bank = odd_bank()
    waves = np.random.default_rng(3).normal(0, 0.1, (2, samples)).astype(np.float32)
    plan = plan_of([[Mix(), Mix(ADD, (2,), (0.5,), 3.0), Mix(REVERB, (record,))] for record in (2, 4)], bank, samples)
    np.testing.assert_allclose(augment(waves, plan, bank), mixes_in_float64(waves, plan, bank), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("variant", "low", "high"), [("noise", 0, 15), ("music", 5, 15), ("babble", 13, 20)])
def test_snr_is_exact(bank, speech, variant, low, high):
    plan = drawn(bank, ["a", "b", "c"], ["clean", variant])
    clean, mixed = augment(speech, plan, bank).astype(np.float64).transpose(1, 0, 2)
    snrs = 10 * np.log10(np.mean(clean**2, axis=1) / np.mean((mixed - clean) ** 2, axis=1))
    np.testing.assert_allclose(snrs, plan.snrs[:, 1], atol=0.001)
    assert ((snrs > low - 0.01) & (snrs < high + 0.01)).all()


def test_features_of_the_variants_are_those_of_the_mixes(bank, speech):
    plan = drawn(bank, ["a", "b", "c"])
    audio = augment(speech, plan, bank)
    for options in (LfccOptions(), LfccOptions(n_fft=512, win_length=400, center=True)):
        features = augment_lfcc(speech, plan, bank, options)
        np.testing.assert_array_equal(features, np.stack([lfcc(variants, options) for variants in audio]))


def test_neighbours_threads_and_calls_before_change_nothing(bank, speech):
    names = ["a", "b", "c"]
    whole = augment_lfcc(speech, drawn(bank, names), bank, LfccOptions(), threads=3)
    fresh = Bank(bank.samples, bank.starts, bank.members, bank.store)  # without spectra that were kept
    for index in (2, 0, 1, 2):
        one = augment_lfcc(speech[[index]], drawn(bank, [names[index]]), fresh, LfccOptions())
        np.testing.assert_array_equal(one[0], whole[index])


def test_spectra_are_kept_up_to_their_number_of_bytes(bank, speech):
    from srctrace import _C

    plan = drawn(bank, ["a", "b", "c"], ["reverb"])
    core = _C.Bank(np.asarray(bank.samples), bank.starts, 100_000)
    assert core.cached_bytes == 0
    for _ in range(2):
        mixed = _C.mix(speech, plan.core, core, 1)
        assert core.cached_bytes <= 100_000
    np.testing.assert_array_equal(mixed, augment(speech, plan, bank))
    assert bank.core.cached_bytes > 0


def test_silence_is_defined(bank, speech):
    silent = np.zeros((1, 2 * RATE), np.int16)
    assert not augment(silent, drawn(bank, ["u"]), bank).any()
    quiet = Bank.of([np.zeros(100, np.int16), RANDOM.integers(-9, 9, 100).astype(np.int16)])
    for mix in (Mix(ADD, (0,), (0.0,), 5.0), Mix(ADD, (0, 0), (0.0, 0.5), 5.0), Mix(ADD), Mix(REVERB, (0,))):
        unchanged = augment(speech[:1], plan_of([[mix]], quiet, 2 * RATE), quiet)
        np.testing.assert_array_equal(unchanged[0, 0], speech[0] / np.float32(32768))
    # A silent talker among others is left out.
    both = augment(speech[:1], plan_of([[Mix(ADD, (0, 1), (0.0, 0.0), 5.0)]], quiet, 2 * RATE), quiet)
    alone = augment(speech[:1], plan_of([[Mix(ADD, (1,), (0.0,), 5.0)]], quiet, 2 * RATE), quiet)
    np.testing.assert_allclose(both, alone, atol=1e-7)


def test_noise_alone_and_reverb_alone(speech):
    signals = [RANDOM.integers(-3000, 3000, length).astype(np.int16) for length in (500, 40000, 900)]
    noisy = add_noise(speech, signals, [0.0, 10.0, 20.0], threads=2)
    room = reverberate(speech, signals)
    assert noisy.shape == room.shape == speech.shape
    bank = Bank.of(signals)
    plan = plan_of([[Mix(ADD, (i,), (0.0,), 10.0 * i), Mix(REVERB, (i,))] for i in range(3)], bank, 2 * RATE)
    expected = mixes_in_float64(speech, plan, bank)
    np.testing.assert_allclose(noisy, expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(room, expected[:, 1], atol=1e-5)
    out = np.empty(speech.shape, np.float32)
    assert reverberate(speech, signals, out=out) is out
    np.testing.assert_array_equal(out, room)


def test_tensors_give_tensors(bank, speech):
    plan = drawn(bank, ["a", "b", "c"])
    mixed = augment(torch.from_numpy(speech), plan, bank)
    assert isinstance(mixed, torch.Tensor)
    np.testing.assert_array_equal(mixed.numpy(), augment(speech, plan, bank))
    out = torch.empty(mixed.shape)
    assert augment(torch.from_numpy(speech), plan, bank, out=out) is out
    assert torch.equal(out, mixed)
    features = augment_lfcc(torch.from_numpy(speech), plan, bank, LfccOptions())
    assert torch.equal(features[0], lfcc(mixed[0], LfccOptions()))


def changed(plan: Plan, **fields) -> Plan:
    return Plan(**{name: fields.get(name, getattr(plan, name)) for name in Plan.__dataclass_fields__})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kinds": np.full((1, 2), 3, np.uint8)}, "mix 0 is of kind 3"),
        (
            {"kinds": np.full((2, 2), 0, np.uint8), "snrs": np.zeros((2, 2))},
            r"kinds must be \(batch, variants\), not \(2, 2\), for a batch of 1",
        ),
        ({"kinds": np.zeros(2, np.uint8)}, r"kinds must be \(batch, variants\), not \(2,\)"),
        ({"kinds": np.zeros((1, 2), np.int64)}, "kinds must be an array of uint8, not of int64"),
        ({"records": np.array([0.0, 1.0, 2.0])}, "records must be an array of int64, not of float64"),
        ({"kinds": np.full((1, 2), 2, np.uint8)}, "mix 0 is reverberation with 2 parts"),
        ({"snrs": np.full((1, 3), 0.0)}, "snrs must be as kinds"),
        ({"snrs": np.array([[np.nan, 0]])}, "mix 0 has an SNR of nan dB"),
        ({"snrs": np.array([[0, 101.0]])}, "mix 1 has an SNR of 101 dB"),
        ({"firsts": np.array([0, 2])}, r"firsts must be \(3,\)"),
        ({"firsts": np.array([0, 2, 4])}, "mix 1 has parts 2 to 4, but there are 3"),
        ({"firsts": np.array([0, 2, 1])}, "mix 1 has parts 2 to 1"),
        ({"firsts": np.array([-1, 2, 3])}, "mix 0 has parts -1 to 2"),
        ({"records": np.array([0, 5, 1])}, "part 1 of the plan is record 5: the bank has 5"),
        ({"records": np.array([-1, 0, 1])}, "part 0 of the plan is record -1"),
        ({"offsets": np.array([0, 0, 7])}, "part 2 of the plan starts at sample 7 of record 1, which has 7"),
        ({"offsets": np.array([0, -1, 7])}, "part 1 of the plan starts at sample -1"),
        ({"offsets": np.array([0, 0])}, "records and offsets must be"),
    ],
    ids=str,
)
def test_a_plan_that_is_none_is_refused(fields, message):
    bank = odd_bank()
    mixes = [[Mix(ADD, (0, 2), (0.0, 0.5), 3.0), Mix(ADD, (1,), (0.0,), 3.0)]]
    for run in (augment, lambda *arguments: augment_lfcc(*arguments, LfccOptions(n_fft=50, win_length=50))):
        with pytest.raises(UserError, match=message):
            run(np.zeros((1, 100), np.float32), changed(plan_of(mixes, bank, 100), **fields), bank)


def test_a_plan_takes_what_loses_nothing():
    bank = odd_bank()
    plan = plan_of([[Mix(ADD, (0, 2), (0.0, 0.5), 3.0), Mix(ADD, (1,), (0.0,), 3.5)]], bank, 100)
    narrow = changed(
        plan,
        records=plan.records.astype(np.int32),
        firsts=plan.firsts.tolist(),
        snrs=plan.snrs.astype(np.float32),
        offsets=np.repeat(plan.offsets, 2)[::2],
    )
    waves = np.ones((1, 100), np.float32)
    np.testing.assert_array_equal(augment(waves, narrow, bank), augment(waves, plan, bank))


def test_what_is_read_is_not_written(bank, speech):
    memory = speech.astype(np.float32)
    plan = drawn(bank, ["a", "b", "c"])
    single = changed(plan, kinds=plan.kinds[:, :1], snrs=plan.snrs[:, :1], firsts=np.zeros(4, np.int64))
    for compute in (
        lambda: augment(memory, single, bank, out=memory[:, None]),
        lambda: add_noise(memory, [np.ones(5, np.int16)] * 3, [0.0] * 3, out=memory),
        lambda: lfcc(memory, LfccOptions(), out=memory[:, : 80 * 199].reshape(3, 80, 199)[:1]),
    ):
        with pytest.raises(UserError, match=r"must not be in the memory of waves|must be a contiguous"):
            compute()
    np.testing.assert_array_equal(memory, speech)


def test_other_input_is_refused(bank, speech):
    plan = drawn(bank, ["a", "b", "c"])
    with pytest.raises(UserError, match="for a batch of 2"):
        augment(speech[:2], plan, bank)
    with pytest.raises(UserError, match=r"not \(32000,\) of int16"):
        augment(speech[0], plan, bank)
    with pytest.raises(UserError, match="sample 5 is nan"):
        augment(np.where(np.arange(2 * RATE) == 5, np.float32(np.nan), np.zeros((3, 1), np.float32)), plan, bank)
    with pytest.raises(UserError, match="of 0 samples cannot be mixed"):
        augment(speech[:, :0], plan, bank)
    with pytest.raises(UserError, match="threads is 0"):
        augment(speech, plan, bank, threads=0)
    with pytest.raises(UserError, match="too short"):
        augment_lfcc(speech[:, :100], drawn(bank, ["a", "b", "c"], samples=100), bank, LfccOptions())
    with pytest.raises(UserError, match=r"out is \(3, 5, 100\): it must be \(3, 5, 32000\)"):
        augment(speech, plan, bank, out=np.empty((3, 5, 100), np.float32))
    with pytest.raises(UserError, match="2 noises for 3 utterances"):
        add_noise(speech, [np.ones(5, np.int16)] * 2, [0.0] * 2)
    with pytest.raises(UserError, match="noise 0 must be a NumPy array of int16"):
        add_noise(speech, [None] * 3, [0.0] * 3)
    with pytest.raises(UserError, match="2 SNRs for 3 noises"):
        add_noise(speech, [np.ones(5, np.int16)] * 3, [0.0] * 2)
    for out in ([[1.0]], np.empty((3, 10), np.float32)):
        with pytest.raises(UserError, match=r"out: it must be a NumPy array or torch tensor of shape \(3, 32000\)"):
            add_noise(speech, [np.ones(5, np.int16)] * 3, [0.0] * 3, out=out)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        augment(speech, plan, bank, threads="2")
    with pytest.raises(UserError, match="impulse response 1 must be a NumPy array of int16"):
        reverberate(speech, [np.ones(5, np.int16), np.ones(5), np.ones(5, np.int16)])


def test_the_example_in_the_documentation_runs(tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "docs" / "preprocessing.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    small_bank(tmp_path / "results" / "noise")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert names["audio"].shape == (32, 5, 64000)
    assert names["features"].shape == (32, 5, 80, 399)
