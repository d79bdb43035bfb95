"""The CUDA kernels, run on the CPU: the same features as the C++ core, the same mixes as the definition in NumPy.

`CUDA_ON_CPU=PATH` takes a module that tests/cuda_on_cpu/build.py has built before, perhaps with sanitizers:

    python -m tests.cuda_on_cpu.build /tmp --sanitize
    CUDA_ON_CPU=/tmp/_cuda.cpython-….so ASAN_OPTIONS=detect_leaks=0 \\
        LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libubsan.so)" \\
        pytest --numprocesses 0 tests/cuda_on_cpu
"""

import dataclasses
import importlib.util
import os
import shutil

import numpy as np
import pytest
import torch

from srctrace import gpu
from srctrace.augment import ADD, CLEAN, REVERB
from srctrace.bank import Bank
from srctrace.errors import UserError
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.rng import generator
from tests.mixing_in_float64 import mixes_in_float64, plan_of

from .build import build

DEFAULT = LfccOptions()
CENTERED = LfccOptions(n_fft=512, win_length=400, center=True)
LENGTHS = (5000, 900, 30000, 1, 2000, 700)  # of the bank's records; the utterances have 4000 samples
SILENT, RESPONSE = 4, 5


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    path = os.environ.get("CUDA_ON_CPU")
    if not path:
        if not shutil.which(os.environ.get("CXX") or "g++"):
            pytest.skip("no C++ compiler")
        path = build(tmp_path_factory.mktemp("cuda_on_cpu"))
    spec = importlib.util.spec_from_file_location("_cuda", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def fake_gpu(module, monkeypatch):
    monkeypatch.setattr(gpu, "_cuda", module)
    monkeypatch.setattr(gpu, "_stream", lambda device: (0, 0))
    # torch promises 64 bytes on the CPU, and 512 on a GPU.
    empty = torch.empty

    def aligned(*shape, **kwargs):
        if kwargs.get("dtype") != torch.uint8:
            return empty(*shape, **kwargs)
        memory = empty(shape[0] + 256, **kwargs).fill_(255)
        start = -memory.data_ptr() % 256
        return memory[start : start + shape[0]]

    monkeypatch.setattr(torch, "empty", aligned)
    gpu._plan.cache_clear()
    yield
    gpu._plan.cache_clear()


@pytest.fixture(scope="module")
def bank():
    rng = generator(5, "cuda on cpu")
    records = [rng.integers(-3000, 3000, length).astype(np.int16) for length in LENGTHS]
    records[SILENT][:] = 0
    return Bank.of(records)


def waves(batch: int, samples: int, dtype=np.float32) -> np.ndarray:
    values = 0.1 * generator(6, "cuda on cpu", batch, samples).standard_normal((batch, samples))
    return (values * 32768).astype(dtype) if dtype == np.int16 else values.astype(dtype)


def on_gpu(values: np.ndarray, options: LfccOptions) -> np.ndarray:
    return gpu.lfcc(torch.from_numpy(values), options).numpy()


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    "options",
    [
        DEFAULT,
        CENTERED,
        LfccOptions(log_lf=True),
        LfccOptions(center=True, hop_length=100),
        LfccOptions(n_fft=512, win_length=512, hop_length=128, n_filter=20, n_lfcc=20),
        LfccOptions(n_fft=400, win_length=400, n_filter=70, n_lfcc=70),
        LfccOptions(n_fft=331, win_length=100, n_filter=37, n_lfcc=30),
        LfccOptions(n_fft=662, win_length=33, hop_length=7, n_filter=64, n_lfcc=13),
        LfccOptions(n_fft=243, win_length=243, hop_length=1000, n_filter=5, n_lfcc=5),
        LfccOptions(n_fft=750, win_length=749, hop_length=2000, center=True, f_min=300, f_max=3400),
        LfccOptions(n_fft=320, hop_length=100_000, n_filter=331, n_lfcc=331),
        LfccOptions(n_fft=64, win_length=31, hop_length=3, sample_rate=8000),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.int16], ids=["float32", "int16"])
def test_features_are_those_of_the_core(options, dtype):
    values = waves(2, 3333, dtype)
    assert_same(on_gpu(values, options), lfcc(values, options))


def test_any_length_of_the_transform():
    values = waves(1, 1400)
    for n_fft in (*range(1, 42), 45, 49, 60, 64, 128, 131, 262, 600, 1009):
        options = LfccOptions(n_fft=n_fft, win_length=n_fft, hop_length=401, n_filter=5, n_lfcc=5, log_lf=True)
        assert_same(on_gpu(values, options), lfcc(values, options))


@pytest.mark.parametrize("options", [DEFAULT, CENTERED], ids=["320", "512"])
def test_few_frames(options):
    shortest = 257 if options.center else 320
    for samples in (shortest, shortest + 1, shortest + 159, shortest + 31 * 160, shortest + 32 * 160):
        values = waves(1, samples)
        assert_same(on_gpu(values, options), lfcc(values, options))


def test_silence_and_a_floor():
    values = waves(3, 8000)
    values[0] = 0
    values[1, 3000:] *= np.float32(1e-6)
    assert_same(on_gpu(values, DEFAULT), lfcc(values, DEFAULT))


@pytest.mark.parametrize("options", [DEFAULT, CENTERED, LfccOptions(n_fft=331, log_lf=True)], ids=["320", "512", "331"])
@pytest.mark.parametrize(
    "limits",
    [
        {"CUDA_ON_CPU_BACKWARDS": "1"},
        {"CUDA_ON_CPU_BLOCKS": "3"},
        {"CUDA_ON_CPU_L2": "1"},
        {"CUDA_ON_CPU_L2": "800000"},
        {"CUDA_ON_CPU_SHARED": "50000"},
        {"CUDA_ON_CPU_SHARED": "8192"},
    ],
    ids=str,
)
def test_the_devices_size_and_the_order_of_threads_change_nothing(options, limits, monkeypatch):
    values = waves(5, 6000)
    expected = on_gpu(values, options)
    gpu._plan.cache_clear()
    for name, value in limits.items():
        monkeypatch.setenv(name, value)
    np.testing.assert_allclose(on_gpu(values, options), expected, rtol=0, atol=2e-5)


def test_a_batch_is_its_utterances_bit_for_bit():
    values = waves(4, 3000)
    singles = np.concatenate([on_gpu(value[None], DEFAULT) for value in values])
    np.testing.assert_array_equal(on_gpu(values, DEFAULT), singles)


@pytest.mark.parametrize("place", [77, 5379], ids=["in a frame", "behind the last frame"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e10])
def test_a_bad_sample_spoils_its_utterance_and_no_other(value, place, bank):
    values = waves(3, 5380)  # 32 frames: one whole tile
    device_bank = gpu.DeviceBank(bank.samples, bank.starts, "cpu")
    plan = plan_of(MIXES, 3)

    def compute():
        mixed = gpu.augment_lfcc(torch.from_numpy(values), plan, device_bank, DEFAULT).numpy()
        return np.concatenate([on_gpu(values, DEFAULT)[:, None], mixed], axis=1)

    good = compute()
    assert np.isfinite(good).all()
    values[1, place] = value
    features = compute()
    assert np.isnan(features[1]).all()
    np.testing.assert_array_equal(features[[0, 2]], good[[0, 2]])


def test_the_largest_samples_are_good(bank):
    values = np.full((1, 6000), 1e10, np.float32)
    device_bank = gpu.DeviceBank(bank.samples, bank.starts, "cpu")
    plan = plan_of([(CLEAN, 0.0, []), (ADD, 0.0, [(0, 0)]), (REVERB, 0.0, [(RESPONSE, 0)])], 1)
    assert gpu.augment_lfcc(torch.from_numpy(values), plan, device_bank, DEFAULT).isfinite().all()


def test_no_variants_give_no_features(bank):
    device_bank = gpu.DeviceBank(bank.samples, bank.starts, "cpu")
    for values, mixes in ((waves(2, 4000), []), (waves(0, 4000), MIXES)):
        plan = plan_of(mixes, len(values))
        features = gpu.augment_lfcc(torch.from_numpy(values), plan, device_bank, DEFAULT)
        assert features.shape == (len(values), len(mixes), 80, 24)


def test_too_few_samples_are_refused_whatever_the_plan(bank):
    device_bank = gpu.DeviceBank(bank.samples, bank.starts, "cpu")
    with pytest.raises(UserError, match="too short"):
        gpu.augment_lfcc(torch.zeros(1, 0), plan_of([(REVERB, 0.0, [(RESPONSE, 0)])], 1), device_bank, DEFAULT)


def test_too_little_memory_for_reverberation_is_said(bank, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    device_bank = gpu.DeviceBank(bank.samples, bank.starts, "cpu")
    monkeypatch.setattr(torch.fft, "rfft", full)
    with pytest.raises(UserError, match="reverberation on cpu: CUDA out of memory"):
        gpu.augment_lfcc(torch.zeros(1, 4000), plan_of([(REVERB, 0.0, [(RESPONSE, 0)])], 1), device_bank, DEFAULT)


@pytest.mark.parametrize("starts", [[0, 50_000_000, 100], [0, 10, 10], [-1, 10], [0, 101]], ids=str)
def test_a_bank_whose_records_are_not_there_is_refused(starts):
    with pytest.raises(UserError, match=r"noise bank: record \d of the bank is from sample"):
        gpu.DeviceBank(np.zeros(100, np.int16), np.array(starts), "cpu")


def test_no_utterances_give_no_features():
    assert on_gpu(np.zeros((0, 4000), np.int16), DEFAULT).shape == (0, 80, 24)


MIXES = [
    (CLEAN, 0.0, []),
    (ADD, 7.5, [(0, 10)]),
    (ADD, -3.0, [(2, 25000), (1, 899), (0, 4000)]),  # all go round, one several times
    (REVERB, 0.0, [(RESPONSE, 0)]),
    (ADD, 10.0, [(SILENT, 3)]),
    (ADD, 0.0, [(SILENT, 3), (3, 0), (1, 0), (2, 7)]),
    (ADD, 5.0, []),
    (ADD, 20.0, [(1, 5), (SILENT, 0)]),
    (REVERB, 0.0, [(SILENT, 0)]),
    (REVERB, 0.0, [(2, 0)]),  # longer than the utterance
    (REVERB, 0.0, [(3, 0)]),  # of one sample
    (CLEAN, 0.0, []),
]


@pytest.mark.parametrize("options", [DEFAULT, CENTERED], ids=["320", "512"])
@pytest.mark.parametrize("dtype", [np.float32, np.int16], ids=["float32", "int16"])
def test_mixes_are_those_of_the_definition(options, dtype, bank):
    values = waves(2, 4000, dtype)
    values[1, 1000:] //= 50
    check(values, MIXES, options, bank)


def check(values: np.ndarray, mixes: list[tuple], options: LfccOptions, bank) -> None:
    plan = plan_of(mixes, len(values))
    ours = gpu.augment_lfcc(torch.from_numpy(values), plan, gpu.DeviceBank(bank.samples, bank.starts, "cpu"), options)
    definition = mixes_in_float64(values, plan, bank).astype(np.float32)
    theirs = lfcc(definition.reshape(-1, values.shape[1]), options)
    error = ours.flatten(0, 1).numpy() - theirs
    assert np.abs(error).max() < 2e-3
    assert np.sqrt(np.mean(error**2)) < 5e-5


@pytest.mark.parametrize("dtype", [np.float32, np.int16], ids=["float32", "int16"])
def test_silent_speech_stays_silent(dtype, bank):
    check(np.zeros((1, 4000), dtype), MIXES, DEFAULT, bank)


def test_mixes_do_not_depend_on_the_device(bank, monkeypatch):
    values = torch.from_numpy(waves(2, 4000))
    plan = plan_of(MIXES, 2)
    results = []
    for limits in (
        {},
        {"CUDA_ON_CPU_BACKWARDS": "1"},
        {"CUDA_ON_CPU_BLOCKS": "2"},
        {"CUDA_ON_CPU_L2": "100000"},
        {"CUDA_ON_CPU_SHARED": "9000"},
    ):
        for name, value in limits.items():
            monkeypatch.setenv(name, value)
        gpu._plan.cache_clear()
        device_bank = gpu.DeviceBank(bank.samples, bank.starts, "cpu", spectra_bytes=40000)
        results.append(gpu.augment_lfcc(values, plan, device_bank, DEFAULT).numpy())
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=0, atol=2e-5)


def test_spectra_are_kept_and_make_room(bank):
    device_bank = gpu.DeviceBank(bank.samples, bank.starts, "cpu", spectra_bytes=50000)
    values = torch.from_numpy(waves(1, 4000))
    zeros = np.zeros(1, np.int64)
    first = device_bank.reverberate(values, zeros, np.array([RESPONSE]))
    assert list(device_bank._spectra) == [(RESPONSE, 5120)]
    device_bank.reverberate(values, zeros, np.array([1]))
    assert list(device_bank._spectra) == [(1, 5120)] or len(device_bank._spectra) == 2
    for record in (0, 1, 3, SILENT):
        device_bank.reverberate(values, zeros, np.array([record]))
    assert sum(row.nbytes for row in device_bank._spectra.values()) <= 50000
    assert (RESPONSE, 5120) not in device_bank._spectra
    assert torch.equal(device_bank.reverberate(values, zeros, np.array([RESPONSE])), first)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"records": np.array([9])}, "part 0 of the plan is record 9: the bank has 6"),
        ({"offsets": np.array([5000])}, "starts at sample 5000 of record 0, which has 5000"),
        ({"snrs": np.array([[np.nan]])}, "mix 0 has an SNR of nan"),
        ({"kinds": np.array([[7]], np.uint8)}, "mix 0 is of kind 7"),
        ({"firsts": np.array([0, 2])}, "mix 0 has parts 0 to 2, but there are 1"),
        ({"firsts": np.array([0])}, "firsts must be an array of 2 values"),
        (
            {"kinds": np.array([[0], [0]], np.uint8), "snrs": np.zeros((2, 1))},
            r"kinds must be \(batch, variants\), not \(2, 1\)",
        ),
    ],
    ids=str,
)
def test_a_wrong_plan_is_refused(wrong, message, bank):
    device_bank = gpu.DeviceBank(bank.samples, bank.starts, "cpu")
    plan = dataclasses.replace(plan_of([(ADD, 0.0, [(0, 0)])], 1), **wrong)
    with pytest.raises(UserError, match=message):
        gpu.augment_lfcc(torch.from_numpy(waves(1, 4000)), plan, device_bank, DEFAULT)


def test_pointers_and_sizes_are_checked(module):
    values, features = waves(1, 4000), np.empty((1, 80, 24), np.float32)
    plan = module.DeviceLfcc(DEFAULT.core, 0)
    arguments = {"waves": values.ctypes.data, "int16": False, "batch": 1, "samples": 4000, "stream": 0}
    arguments |= {"workspace": 1 << 20, "workspace_bytes": 1 << 30, "features": features.ctypes.data}
    for wrong, message in (
        ({"waves": 0}, "waves is in the host's memory: it must be in that of device 0"),
        ({"waves": 3 * 2**20 + 2}, "waves is at 0x300002: its address must be a multiple of 4"),
        ({"workspace": 1000}, "must be a multiple of 256"),
        ({"workspace_bytes": 10}, "the workspace has 10 bytes: it must have"),
        ({"samples": 100}, "too short"),
        ({"samples": 2**30}, "too long: on a GPU it may have 536870912"),
        ({"batch": -1}, "the batch has -1 utterances"),
    ):
        with pytest.raises(ValueError, match=message):
            plan.lfcc(**(arguments | wrong))
    with pytest.raises(ValueError, match="device is 3: there are 1, from 0 on"):
        module.DeviceLfcc(DEFAULT.core, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [(torch.zeros(1, 4000, dtype=torch.float64), "of float64"), (torch.zeros(4000), r"not \(4000,\)")],
    ids=str,
)
def test_other_input_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        gpu.lfcc(values, DEFAULT)
