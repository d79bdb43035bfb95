"""The C++ core as a whole: every instruction set, any input, several Python threads."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from srctrace import _C
from srctrace.augment import ADD, REVERB, Mix, augment, augment_lfcc, plan_of
from srctrace.bank import Bank
from srctrace.errors import UserError
from srctrace.frontends.lfcc import LfccOptions, lfcc
from tests.mixing_in_float64 import mixes_in_float64

OPTIONS = [
    LfccOptions(),
    LfccOptions(n_fft=512, win_length=400, center=True),
    LfccOptions(n_fft=331, win_length=200, hop_length=77, log_lf=True),
    LfccOptions(n_fft=96, win_length=96, hop_length=500, n_filter=20, n_lfcc=13),
]


def everything() -> dict[str, np.ndarray]:
    """What the core gives for a few of everything."""
    random = np.random.default_rng(0)
    waves = random.normal(0, 0.1, (2, 9000)).astype(np.float32)
    bank = Bank.of([random.integers(-9000, 9000, size).astype(np.int16) for size in (500, 20000, 3000)])
    variants = [Mix(), Mix(ADD, (1,), (0.3,), 5.0), Mix(ADD, (0, 1, 2), (0.1, 0.2, 0.9), 15.0), Mix(REVERB, (2,))]
    plan = plan_of([variants, variants[::-1]], bank, 9000)
    results = {"set": np.array(_C.instruction_set()), "mixes": augment(waves, plan, bank)}
    for index, options in enumerate(OPTIONS):
        results[f"lfcc {index}"] = augment_lfcc(waves, plan, bank, options)
    assert np.abs(results["mixes"] - mixes_in_float64(waves, plan, bank)).max() < 1e-6
    return results


def run(code: str, simd: str, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "SRCTRACE_SIMD": simd},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("simd", _C.instruction_sets())
def test_instruction_sets_agree(tmp_path, simd):
    """Here, wherever here is, with each instruction set that this processor has: the scalar one is always there."""
    code = "import sys, numpy; from tests.test_core import everything; numpy.savez(sys.argv[1], **everything())"
    done = run(code, simd, tmp_path / "results.npz")
    assert done.returncode == 0, done.stderr
    there, here = np.load(tmp_path / "results.npz"), everything()
    assert there["set"] == simd
    for name in here.keys() - {"set"}:
        np.testing.assert_allclose(there[name], here[name], rtol=0, atol=2e-3 if "lfcc" in name else 1e-6)
        assert np.sqrt(np.mean((there[name] - here[name]) ** 2)) < 5e-5


def test_the_scalar_code_is_always_there_and_the_best_is_taken():
    assert _C.instruction_sets()[-1] == "scalar"
    if "SRCTRACE_SIMD" not in os.environ:
        assert _C.instruction_set() == _C.instruction_sets()[0]


def test_an_instruction_set_that_is_not_there_is_refused():
    code = "import numpy as n; from srctrace.frontends.lfcc import *; lfcc(n.zeros((1, 400), n.int16), LfccOptions())"
    done = run(code, "mmx")
    assert done.returncode != 0
    assert "SRCTRACE_SIMD is 'mmx': this processor has " in done.stderr
    assert "scalar" in done.stderr


def test_several_python_threads():
    """Calls from several threads give what they give alone; they share plans, spectra and memory."""
    random = np.random.default_rng(0)
    waves = random.normal(0, 0.1, (4, 6000)).astype(np.float32)
    signals = [random.integers(-9000, 9000, 3000).astype(np.int16) for _ in range(4)]
    shared = Bank.of(signals)

    def work(number: int) -> list[np.ndarray]:
        options = LfccOptions(n_fft=100 + 7 * (number % 12), win_length=90, hop_length=80)
        plan = plan_of(
            [[Mix(REVERB, ((number + i) % 4,)), Mix(ADD, (i,), (0.5,), 3.0)] for i in range(4)], shared, 6000
        )
        bank = shared if number % 2 else Bank.of(signals)
        return [lfcc(waves, options, 1 + number % 3), augment_lfcc(waves, plan, bank, options, 1 + number % 2)]

    alone = [work(number) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for together, expected in zip(pool.map(work, range(24)), alone, strict=True):
                for one, other in zip(together, expected, strict=True):
                    np.testing.assert_array_equal(one, other)


arrays = hnp.arrays(
    st.one_of(
        st.sampled_from([np.dtype(name) for name in ("float32", "int16", "float64", "int32", "bool", ">f4")]),
        hnp.floating_dtypes(),
        hnp.complex_number_dtypes(),
    ),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=12),
    fill=st.nothing(),
)


@st.composite
def batches(draw) -> np.ndarray:
    """Such as may be computed."""
    shape = draw(st.tuples(st.integers(0, 5), st.integers(1, 40)))
    elements = {np.float32: st.floats(-1, 1, width=32), np.int16: None}
    kind = draw(st.sampled_from(list(elements)))
    return draw(hnp.arrays(kind, shape, elements=elements[kind]))


def views(array: np.ndarray) -> st.SearchStrategy[np.ndarray]:
    """The array with other strides, in other orders, unaligned, read-only."""

    def read_only(array):
        copy = array.copy()
        copy.flags.writeable = False
        return copy

    def unaligned(array):
        memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
        view = memory.view(array.dtype).reshape(array.shape) if array.size else array
        view[...] = array
        return view

    strided = [array[..., ::2], array[::-1]] if array.ndim else []
    return st.sampled_from([array, *strided, array.T, np.asfortranarray(array), read_only(array), unaligned(array)])


SMALL = LfccOptions(n_fft=4, win_length=4, hop_length=2, n_filter=3, n_lfcc=3)


@settings(max_examples=300, deadline=None)
@given(array=st.one_of(arrays, batches()).flatmap(views))
def test_any_array_is_computed_or_refused(array):
    """Nothing but a good result or a clear refusal comes of any array: no crash, no other exception."""
    bank = Bank.of([np.ones(5, np.int16)])
    batch = len(array) if array.ndim else 0
    plan = plan_of(
        [[Mix(ADD, (0,), (0.5,), 3.0), Mix(REVERB, (0,))]] * batch, bank, array.shape[-1] if array.ndim else 0
    )
    good = array.ndim == 2 and array.dtype in (np.float32, np.int16) and array.dtype.isnative
    for compute, shape in (
        (lambda: lfcc(array, SMALL, 2), (3, (array.shape[-1] - 2) // 2 if array.ndim else 0)),
        (lambda: augment(array, plan, bank, 2), (plan.kinds.shape[1], array.shape[-1] if array.ndim else 0)),
    ):
        try:
            result = compute()
        except UserError:
            finite = good and np.isfinite(array).all() and (np.abs(array.astype(np.float64)) <= 1e10).all()
            assert not finite or array.shape[1] < 4 or plan.kinds.shape != (len(array), 2)
        else:
            assert good
            assert result.shape == (len(array), *shape)
            assert np.isfinite(result).all()


@settings(max_examples=100, deadline=None)
@given(array=st.one_of(arrays, hnp.arrays(np.float32, (2, 3, 4), fill=st.nothing())).flatmap(views))
def test_any_output_is_written_or_refused(array):
    waves = np.ones((2, 10), np.float32)
    before = array.copy()
    try:
        result = lfcc(waves, SMALL, out=array)
    except UserError:
        assert array.tobytes() == before.tobytes()
    else:
        assert result is array
        np.testing.assert_array_equal(array, lfcc(waves, SMALL))


@pytest.mark.parametrize("function", ["lfcc", "mix", "mixed_lfcc"])
def test_the_core_takes_nothing_but_what_it_knows(function):
    bank = _C.Bank(np.ones(5, np.int16), np.array([0, 5]), 0)
    plan = _C.Plan(
        np.zeros((1, 1), np.uint8), np.zeros((1, 1)), np.array([0, 0]), np.empty(0, np.int64), np.empty(0, np.int64)
    )
    rest = {"lfcc": [_C.LfccOptions(), 1], "mix": [plan, bank, 1], "mixed_lfcc": [plan, bank, _C.LfccOptions(), 1]}
    call = getattr(_C, function)
    assert call(np.zeros((1, 400), np.float32), *rest[function]).dtype == np.float32
    for waves in (None, "waves", [[0.0] * 400], np.zeros((1, 400)), np.zeros((1, 800), np.float32)[:, ::2]):
        with pytest.raises(TypeError):
            call(waves, *rest[function])
    for index in range(len(rest[function])):
        for value in ("wrong", None):
            wrong = list(rest[function])
            wrong[index] = value
            with pytest.raises(TypeError):
                call(np.zeros((1, 400), np.float32), *wrong)


@pytest.mark.parametrize(
    ("samples", "starts", "cache", "message"),
    [
        (np.ones((1, 5), np.int16), np.array([0, 5]), 0, "a bank is"),
        (np.ones(5, np.int16), np.array([], np.int64), 0, "a bank is"),
        (np.ones(5, np.int16), np.array([0, 6]), 0, "record 0 of the bank is from sample 0 to 6 of 5"),
        (np.ones(5, np.int16), np.array([0, 3, 3]), 0, "record 1 of the bank is from sample 3 to 3"),
        (np.ones(5, np.int16), np.array([-1, 3]), 0, "record 0 of the bank is from sample -1"),
        (np.ones(5, np.int16), np.array([4, 2]), 0, "from sample 4 to 2"),
        (np.ones(5, np.int16), np.array([0, 5]), -1, "cache_bytes is -1"),
    ],
)
def test_a_bank_that_is_none_is_refused(samples, starts, cache, message):
    with pytest.raises(ValueError, match=message):
        _C.Bank(samples, starts, cache)


def test_shapes_too_large_for_any_memory_are_told():
    huge = np.broadcast_to(np.float32(0), (1 << 20, 1 << 30))
    with pytest.raises(MemoryError):
        lfcc(huge, LfccOptions())
    wide = LfccOptions(hop_length=1, n_fft=2, win_length=2, n_filter=1 << 22, n_lfcc=1 << 22)
    with pytest.raises(MemoryError):
        lfcc(np.zeros((1 << 10, 1 << 12), np.int16), wide)
