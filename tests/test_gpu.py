"""Mixing and LFCCs on a real GPU, and what is said where there is none. See also tests/cuda_on_cpu."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.oracle import torchaudio_lfcc
from srctrace import gpu
from srctrace.augment import ADD, CLEAN, REVERB, augment_lfcc
from srctrace.bank import Bank
from srctrace.errors import UserError
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.rng import generator
from tests.mixing_in_float64 import mixes_in_float64, plan_of

NEEDS_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.skipif(gpu._cuda is None, reason="srctrace._cuda is not built"),
]
DEFAULT = LfccOptions()
CENTERED = LfccOptions(n_fft=512, win_length=400, center=True)
OPTIONS = [
    DEFAULT,
    CENTERED,
    LfccOptions(log_lf=True),
    LfccOptions(n_fft=400, win_length=400, n_filter=70, n_lfcc=70),
    LfccOptions(n_fft=331, win_length=100, n_filter=37, n_lfcc=30),
    LfccOptions(n_fft=662, win_length=33, hop_length=7, n_filter=64, n_lfcc=13),
    LfccOptions(n_fft=2048, win_length=2048, hop_length=512, center=True),
    LfccOptions(n_fft=4099, win_length=4099, hop_length=1000),
    LfccOptions(n_fft=1, win_length=1, n_filter=5, n_lfcc=5),
]


def on_gpus(function):
    for mark in NEEDS_GPU:
        function = mark(function)
    return function


def noise(batch: int, samples: int = 64000, dtype: str = "float32") -> np.ndarray:
    values = 0.1 * generator(8, "gpu", batch, samples).standard_normal((batch, samples))
    return (values * 32768).astype(dtype) if dtype == "int16" else values.astype(dtype)


def assert_same(ours: torch.Tensor, theirs: np.ndarray) -> None:
    assert ours.dtype == torch.float32
    assert ours.shape == theirs.shape
    error = ours.cpu().numpy().astype(np.float64) - theirs
    assert np.abs(error).max() <= 2e-3
    assert np.sqrt(np.mean(error**2)) <= 5e-5


def test_where_there_is_no_gpu_it_is_said():
    reason = gpu.why_not()
    if torch.cuda.is_available() and gpu._cuda is not None:
        assert reason == ""
        return
    assert reason.startswith("no GPU: ")
    assert "\n" not in reason
    with pytest.raises(UserError, match="no GPU: "):
        gpu.lfcc(torch.zeros(1, 400), DEFAULT)
    with pytest.raises(UserError, match="no GPU: "):
        gpu.DeviceBank(np.zeros(10, np.int16), np.array([0, 10]))


@pytest.mark.skipif(gpu._cuda is None, reason="srctrace._cuda is not built")
def test_the_module_can_be_imported_alone_and_says_what_there_is():
    code = "from srctrace import _cuda; print(_cuda.why_no_gpu())"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert said == gpu.why_not()


@pytest.mark.skipif(gpu._cuda is None or not gpu.why_not(), reason="there is a GPU")
def test_the_module_refuses_to_plan_without_a_gpu():
    with pytest.raises(gpu._cuda.CudaError, match="no GPU: "):
        gpu._cuda.DeviceLfcc(DEFAULT.core, 0)


def test_a_module_that_is_not_built_is_said(monkeypatch):
    monkeypatch.setattr(gpu, "_cuda", None)
    monkeypatch.setattr(gpu, "_import_error", "cannot import name '_cuda' from 'srctrace'")
    assert "srctrace._cuda is not built; when srctrace is installed, nvcc is looked for" in gpu.why_not()
    monkeypatch.setattr(gpu, "_import_error", "libfoo.so: no such file")
    assert gpu.why_not() == "no GPU: srctrace._cuda cannot be loaded: libfoo.so: no such file"


@on_gpus
@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_features_are_those_of_the_cpu(options, dtype):
    values = noise(3, 20000, dtype)
    features = lfcc(torch.from_numpy(values).cuda(), options)
    assert features.is_cuda
    assert_same(features, lfcc(values, options))


@on_gpus
@pytest.mark.parametrize("options", [DEFAULT, CENTERED], ids=["320", "512"])
def test_many_utterances(options):
    values = noise(500)
    assert_same(gpu.lfcc(torch.from_numpy(values).cuda(), options), lfcc(values, options))


@on_gpus
def test_a_batch_is_its_utterances_bit_for_bit():
    values = torch.from_numpy(noise(9)).cuda()
    singles = torch.cat([gpu.lfcc(value[None], DEFAULT) for value in values])
    assert torch.equal(gpu.lfcc(values, DEFAULT), singles)


@on_gpus
@pytest.mark.parametrize("options", [DEFAULT, CENTERED], ids=["320", "512"])
def test_torchaudio_on_the_same_gpu(options):
    transform = torchaudio_lfcc(options).to("cuda", torch.float64)
    values = torch.from_numpy(noise(1)).cuda()
    error = gpu.lfcc(values, options) - transform(values.double())
    assert error.abs().max() <= 2e-3


@on_gpus
def test_input_need_not_be_contiguous():
    values = torch.from_numpy(noise(4)).cuda()
    expected = gpu.lfcc(values, DEFAULT)
    assert torch.equal(gpu.lfcc(values.T.contiguous().T, DEFAULT), expected)
    assert torch.equal(gpu.lfcc(values.repeat_interleave(2, 1)[:, ::2], DEFAULT), expected)
    one_off = torch.cat([torch.zeros(1, device="cuda"), values.flatten()])[1:].view(4, -1)
    assert torch.equal(gpu.lfcc(one_off, DEFAULT), expected)


@on_gpus
def test_on_another_stream():
    values = torch.from_numpy(noise(50)).cuda()
    expected = gpu.lfcc(values, DEFAULT)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        doubled = gpu.lfcc(values * 2 / 2, DEFAULT) * 1
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(doubled, expected)


@on_gpus
def test_nothing_waits_for_the_device():
    values = torch.from_numpy(noise(4)).cuda()
    bank = Bank.of([np.ones(9000, np.int16), np.arange(700, dtype=np.int16)]).on(values.device)
    plan = plan_of([(CLEAN, 0.0, []), (ADD, 3.0, [(0, 5)]), (REVERB, 0.0, [(1, 0)])], len(values))

    def compute():
        gpu.lfcc(values, DEFAULT)
        gpu.augment_lfcc(values, plan, bank, DEFAULT)

    compute()
    torch.cuda.synchronize()
    torch.cuda._sleep(2_000_000_000)  # about a second
    done = torch.cuda.Event()
    compute()
    done.record()
    assert not done.query()


@on_gpus
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_on_several_devices():
    values = noise(3)
    for index in range(torch.cuda.device_count()):
        assert_same(gpu.lfcc(torch.from_numpy(values).to(f"cuda:{index}"), DEFAULT), lfcc(values, DEFAULT))
    bank = gpu.DeviceBank(np.ones(10, np.int16), np.array([0, 10]), "cuda:1")
    with pytest.raises(UserError, match="waves are on cuda:0, but the noise bank is on cuda:1"):
        gpu.augment_lfcc(torch.from_numpy(values).cuda(0), plan_of([(CLEAN, 0.0, [])], 3), bank, DEFAULT)


@on_gpus
@pytest.mark.parametrize("value", [np.nan, np.inf, 2e10])
def test_a_bad_sample_spoils_its_utterance_and_no_other(value):
    values = noise(3)
    values[1, 77] = value
    features = gpu.lfcc(torch.from_numpy(values).cuda(), DEFAULT)
    assert features[1].isnan().all()
    assert not features[[0, 2]].isnan().any()


@on_gpus
def test_wrong_input_is_refused():
    with pytest.raises(UserError, match="LFCC on a GPU: waves are on cpu"):
        gpu.lfcc(torch.zeros(1, 400), DEFAULT)
    with pytest.raises(UserError, match="of float16"):
        gpu.lfcc(torch.zeros(1, 400, dtype=torch.float16, device="cuda"), DEFAULT)
    with pytest.raises(UserError, match=r"not \(400,\)"):
        gpu.lfcc(torch.zeros(400, device="cuda"), DEFAULT)
    with pytest.raises(UserError, match="too short"):
        gpu.lfcc(torch.zeros(1, 100, device="cuda"), DEFAULT)


@on_gpus
def test_pointers_are_checked():
    values = torch.zeros(1, 4000, device="cuda")
    workspace, features = torch.zeros(1 << 24, device="cuda"), torch.zeros(80 * 24, device="cuda")
    plan = gpu._cuda.DeviceLfcc(DEFAULT.core, 0)
    arguments = {"waves": values.data_ptr(), "int16": False, "batch": 1, "samples": 4000, "stream": 0}
    arguments |= {"workspace": workspace.data_ptr(), "workspace_bytes": workspace.nbytes}
    plan.lfcc(**arguments, features=features.data_ptr())
    with pytest.raises(ValueError, match="features is in the host's memory"):
        plan.lfcc(**arguments, features=torch.zeros(80 * 24).data_ptr())
    with pytest.raises(ValueError, match="device is 99"):
        gpu._cuda.DeviceLfcc(DEFAULT.core, 99)


@on_gpus
def test_too_little_memory_is_said():
    free, _ = torch.cuda.mem_get_info()
    torch.cuda.empty_cache()
    held = torch.empty(free - 2**28, dtype=torch.uint8, device="cuda")
    try:
        with pytest.raises(UserError, match="out of memory"):
            gpu.lfcc(torch.zeros(100, 64000, dtype=torch.int16, device="cuda").repeat(20, 1), CENTERED)
        with pytest.raises(UserError, match=r"noise bank: 0\.5 GiB of int16 do not fit"):
            gpu.DeviceBank(np.zeros(2**28, np.int16), np.array([0, 2**28]))
    finally:
        del held
        torch.cuda.empty_cache()


@on_gpus
@pytest.mark.parametrize("options", [DEFAULT, CENTERED], ids=["320", "512"])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_mixes_are_those_of_the_definition(options, dtype):
    rng = generator(9, "gpu")
    lengths = [50000, 9000, 300000, 1, 20000, 11200]
    records = [rng.integers(-3000, 3000, length).astype(np.int16) for length in lengths]
    records[4][:] = 0
    mixes = [
        (CLEAN, 0.0, []),
        (ADD, 7.5, [(2, 10)]),
        (ADD, 3.0, [(0, 40000)]),
        (ADD, 15.0, [(0, 1), (1, 8999), (2, 290000), (4, 0), (3, 0)]),
        (ADD, 10.0, [(4, 3)]),
        (REVERB, 0.0, [(5, 0)]),
        (REVERB, 0.0, [(4, 0)]),
        (REVERB, 0.0, [(2, 0)]),
    ]
    values = noise(4, 64000, dtype)
    values[2] = 0
    bank, plan = Bank.of(records), plan_of(mixes, 4)
    ours = augment_lfcc(torch.from_numpy(values).cuda(), plan, bank, options)
    assert ours.is_cuda
    definition = mixes_in_float64(values, plan, bank).astype(np.float32)
    assert_same(ours.flatten(0, 1), lfcc(definition.reshape(-1, 64000), options))
    assert_same(ours, augment_lfcc(values, plan, bank, options))
