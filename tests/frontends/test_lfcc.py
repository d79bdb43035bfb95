"""LFCCs against their definition in float64, against torchaudio, and what must never change a bit of them."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.oracle import torchaudio_lfcc
from srctrace import _C
from srctrace.errors import UserError
from srctrace.frontends.lfcc import LfccOptions, lfcc
from srctrace.rng import generator

DEFAULT = LfccOptions()
CENTERED = LfccOptions(n_fft=512, win_length=400, center=True)
PUBLISHED = pytest.mark.parametrize("options", [DEFAULT, CENTERED], ids=["320", "512"])
SCALES = pytest.mark.parametrize("log_lf", [False, True], ids=["db", "ln"])


def noise(samples: int, name: str = "", level: float = 0.1) -> np.ndarray:
    return (level * generator(7, name).standard_normal(samples)).astype(np.float32)


def definition(wave: np.ndarray, options: LfccOptions) -> np.ndarray:
    """The published definition in float64, with nothing clever."""
    n_fft, length = options.n_fft, options.win_length
    signal = wave.astype(np.float64)
    if options.center:
        signal = np.pad(signal, n_fft // 2, mode="reflect")
    window = np.zeros(n_fft)
    left = (n_fft - length) // 2
    window[left : left + length] = np.sin(np.pi * np.arange(length) / length) ** 2 if length > 1 else 1
    starts = range(0, len(signal) - n_fft + 1, options.hop_length)
    power = np.abs(np.fft.rfft([window * signal[start : start + n_fft] for start in starts])) ** 2

    top = options.sample_rate // 2
    bins = np.linspace(0, top, n_fft // 2 + 1)[:, None]
    edges = np.linspace(options.f_min, top if options.f_max is None else options.f_max, options.n_filter + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    energy = power @ np.clip(np.minimum(rising, falling), 0, None)
    if options.log_lf:
        logarithm = np.log(energy + 1e-6)
    else:
        logarithm = 10 * np.log10(np.maximum(energy, 1e-10))
        logarithm = np.maximum(logarithm, logarithm.max() - 80)

    rows, columns = np.arange(options.n_lfcc)[:, None], np.arange(options.n_filter)
    cosines = np.cos(np.pi * rows * (columns + 0.5) / options.n_filter) * np.sqrt(2 / options.n_filter)
    cosines[0] /= np.sqrt(2)
    return cosines @ logarithm.T


def oracle(wave: np.ndarray, options: LfccOptions, dtype: torch.dtype = torch.float32) -> np.ndarray:
    """torchaudio, one utterance at a time."""
    return torchaudio_lfcc(options).to(dtype)(torch.from_numpy(wave).to(dtype)).numpy()


def assert_close(ours: np.ndarray, theirs: np.ndarray, atol: float, rms: float) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    error = ours.astype(np.float64) - theirs
    assert np.abs(error).max() <= atol
    assert np.sqrt(np.mean(error**2)) <= rms


def draw(number: int) -> LfccOptions:
    """Option set `number`. A filter spans two bins or more: torchaudio's float32 edges decide about narrower ones."""
    random = generator(1, "options", number)
    sample_rate = int(random.choice([8000, 16000, 22050, 44100]))
    n_fft = int(random.choice([random.integers(32, 700), random.choice([251, 256, 331, 400, 441, 509, 640, 1024])]))
    f_min = float(random.choice([0, random.uniform(0, sample_rate / 8)]))
    f_max = random.choice([None, random.uniform(sample_rate / 4, sample_rate / 2)])
    width = ((f_max or sample_rate / 2) - f_min) / sample_rate
    n_filter = int(random.integers(1, max(2, n_fft * width)))
    return LfccOptions(
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=int(random.integers(n_fft // 2, n_fft + 1)),
        hop_length=int(random.integers(1, 2 * n_fft)),
        center=bool(random.integers(2)),
        n_filter=n_filter,
        n_lfcc=int(random.integers(1, n_filter + 1)),
        f_min=f_min,
        f_max=f_max,
        log_lf=bool(random.integers(2)),
    )


def test_four_seconds_are_80_by_399_or_401():
    assert lfcc(noise(64000)[None], DEFAULT).shape == (1, 80, 399)
    assert lfcc(noise(64000)[None], CENTERED).shape == (1, 80, 401)


@PUBLISHED
@SCALES
@pytest.mark.parametrize("level", [1, 0.1, 0.001])
def test_the_definition_in_float64(options, log_lf, level):
    options = dataclasses.replace(options, log_lf=log_lf)
    wave = noise(64000, level=level)
    assert_close(lfcc(wave[None], options)[0], definition(wave, options), atol=2e-3, rms=5e-5)


@PUBLISHED
@SCALES
def test_torchaudio(options, log_lf):
    options = dataclasses.replace(options, log_lf=log_lf)
    wave = noise(64000)
    assert_close(lfcc(wave[None], options)[0], oracle(wave, options), atol=2e-3, rms=5e-5)


@pytest.mark.parametrize("number", range(40))
def test_drawn_options(number):
    options = draw(number)
    wave = noise(5000, "drawn")
    ours = lfcc(wave[None], options)[0]
    assert_close(ours, definition(wave, options), atol=2e-3, rms=5e-5)
    assert_close(ours, oracle(wave, options), atol=2e-3, rms=1e-4)


def test_the_drawn_options_cover_the_choices():
    drawn = [draw(number) for number in range(40)]
    for name in ("center", "log_lf"):
        assert {getattr(options, name) for options in drawn} == {False, True}
    assert any(options.n_fft % 2 for options in drawn)
    assert any(options.hop_length > options.n_fft for options in drawn)
    assert any(options.f_max for options in drawn)


def test_any_length_of_the_transform():
    wave = noise(6000)
    for n_fft in (*range(1, 130), 2017, 2048, 2187, 3125, 4099):
        options = LfccOptions(n_fft=n_fft, win_length=n_fft, hop_length=997, n_filter=5, n_lfcc=5, log_lf=True)
        error = np.abs(lfcc(wave[None], options)[0] - definition(wave, options)).max()
        assert error < 1e-4, n_fft


@PUBLISHED
@pytest.mark.parametrize("kind", ["low-passed", "part silent", "faint beside loud", "tone", "silent"])
def test_torchaudio_in_float64_where_float32_is_short_of_digits(options, kind):
    # Next to a loud bin, float32 knows a bin 80 dB below only to some 1e-3 dB, and even in float64 torchaudio keeps its
    # float32 filters and cosines, which moves it by as much. The definition is met more closely.
    wave = noise(64000)
    time = np.arange(64000) / 16000
    if kind == "low-passed":
        wave = np.fft.irfft(np.fft.rfft(wave) * (np.arange(32001) < 8000)).astype(np.float32)
    elif kind == "part silent":
        wave[20000:40000] = 0
    elif kind == "faint beside loud":
        wave[30000:] *= np.float32(1e-4)
    elif kind == "tone":
        wave = (0.5 * np.sin(2 * np.pi * 1234.5 * time)).astype(np.float32)
    else:
        wave[:] = 0
    ours = lfcc(wave[None], options)[0]
    assert_close(ours, oracle(wave, options, torch.float64), atol=5e-3, rms=1e-3)
    assert_close(ours, definition(wave, options), atol=2e-3, rms=2e-4)


def test_filters_without_a_bin_are_at_the_floor():
    options = LfccOptions(n_fft=32, win_length=32, hop_length=16)
    wave = noise(1000)
    assert_close(lfcc(wave[None], options)[0], definition(wave, options), atol=2e-3, rms=1e-4)


@pytest.mark.parametrize(
    "options", [DEFAULT, CENTERED, LfccOptions(n_fft=331, log_lf=True)], ids=["320", "512", "331 ln"]
)
def test_a_batch_is_its_utterances_bit_for_bit_on_any_threads(options):
    waves = np.stack([noise(8000, f"utterance {i}", level=10.0 ** -(i % 5)) for i in range(9)])
    singles = np.concatenate([lfcc(wave[None], options) for wave in waves])
    for threads in (1, 2, 3, 16):
        np.testing.assert_array_equal(lfcc(waves, options, threads), singles)


def test_a_loud_neighbour_changes_nothing():
    quiet, loud = noise(8000, "quiet", level=1e-6), noise(8000, "loud", level=1)
    both = np.stack([quiet, loud])
    np.testing.assert_array_equal(lfcc(both, DEFAULT)[0], lfcc(quiet[None], DEFAULT)[0])
    assert np.abs(oracle(both, DEFAULT)[0] - oracle(quiet, DEFAULT)).max() > 100  # what would have happened


@PUBLISHED
def test_a_shorter_utterance_has_the_same_first_frames(options):
    # Frames are computed several at a time; where the last ones end must not matter.
    options = dataclasses.replace(options, center=False, log_lf=True)
    whole = lfcc(noise(8000)[None], options)
    for samples in range(options.n_fft, options.n_fft + 40 * 160, 160):
        part = lfcc(noise(8000)[None, :samples], options)
        np.testing.assert_array_equal(part, whole[:, :, : part.shape[2]])


@PUBLISHED
def test_int16_is_the_float_over_32768(options):
    waves = generator(3, "int16").integers(-32768, 32768, (3, 8000)).astype(np.int16)
    np.testing.assert_array_equal(lfcc(waves, options), lfcc(waves.astype(np.float32) / 32768, options))


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_a_tensor_gives_a_tensor(dtype):
    waves = (32768 * noise(16000)).reshape(2, 8000).astype(dtype)
    if dtype == "float32":
        waves /= 32768
    features = lfcc(torch.from_numpy(waves), DEFAULT)
    assert isinstance(features, torch.Tensor)
    assert features.dtype == torch.float32
    np.testing.assert_array_equal(features.numpy(), lfcc(waves, DEFAULT))


def test_a_tensor_with_a_gradient_gives_one_without():
    assert not lfcc(torch.zeros(1, 400, requires_grad=True), DEFAULT).requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_tensor_gives_a_cuda_tensor():
    waves = torch.from_numpy(noise(8000)[None]).cuda()
    features = lfcc(waves, DEFAULT)
    assert features.device == waves.device
    torch.testing.assert_close(features.cpu(), lfcc(waves.cpu(), DEFAULT), rtol=0, atol=2e-3)


def test_input_need_not_be_contiguous_aligned_or_writeable():
    waves = noise(2 * 8000).reshape(2, 8000)
    expected = lfcc(waves, DEFAULT)
    np.testing.assert_array_equal(lfcc(np.asfortranarray(waves), DEFAULT), expected)
    np.testing.assert_array_equal(lfcc(np.repeat(waves, 2, axis=1)[:, ::2], DEFAULT), expected)
    np.testing.assert_array_equal(lfcc(torch.from_numpy(waves.T.copy()).T, DEFAULT).numpy(), expected)
    unaligned = np.frombuffer(b"x" + waves.tobytes(), np.float32, offset=1).reshape(2, 8000)
    np.testing.assert_array_equal(lfcc(unaligned, DEFAULT), expected)


def test_torch_is_not_imported_for_arrays():
    code = """if True:
        import sys
        import numpy as np
        from srctrace.frontends.lfcc import LfccOptions, lfcc
        lfcc(np.zeros((1, 400), np.float32), LfccOptions())
        sys.exit("torch" in sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("options", "shortest"),
    [
        (DEFAULT, 320),
        (CENTERED, 257),
        (LfccOptions(n_fft=321, center=True), 161),
        (LfccOptions(n_fft=1, win_length=1, center=True), 1),
    ],
    ids=str,
)
def test_the_shortest_utterance(options, shortest):
    assert lfcc(noise(shortest)[None], options).shape == (1, 80, options.frames(shortest))
    with pytest.raises(UserError, match=f"an utterance of {shortest - 1} samples is too short"):
        lfcc(noise(shortest)[None, 1:], options)
    with pytest.raises(UserError, match=f"an utterance of {shortest - 1} samples is too short"):
        options.frames(shortest - 1)


def test_no_utterances_give_no_features():
    assert lfcc(np.zeros((0, 64000), np.int16), DEFAULT, threads=4).shape == (0, 80, 399)
    with pytest.raises(UserError, match="too short"):
        lfcc(np.zeros((0, 100), np.int16), DEFAULT)


@pytest.mark.parametrize(
    ("value", "text"), [(np.nan, "nan"), (-np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (2e10, "2e")]
)
def test_samples_that_are_not_finite_are_refused(value, text):
    waves = np.zeros((6, 1000), np.float32)
    waves[2, 999] = waves[4, 0] = value
    for threads in (1, 3):
        with pytest.raises(UserError, match=f"utterance 2 of the batch, sample 999 is {text}"):
            lfcc(waves, DEFAULT, threads)


@pytest.mark.parametrize("samples", [(0, -1), (-1, 0)], ids=["found first", "found last"])
def test_the_first_bad_utterance_is_named_whichever_thread_is_first(samples):
    waves = np.zeros((2, 2_000_000), np.float32)  # so long that both threads have one before either has found it bad
    waves[[0, 1], samples] = np.nan
    with pytest.raises(UserError, match="utterance 0 of the batch"):
        lfcc(waves, LfccOptions(hop_length=10_000), threads=2)


def test_the_largest_samples_do_not_overflow():
    assert np.isfinite(lfcc(np.full((1, 1000), 1e10, np.float32), DEFAULT)).all()


@pytest.mark.parametrize(
    ("waves", "message"),
    [
        (np.zeros(1000, np.float32), r"not \(1000,\) of float32"),
        (np.zeros((1, 1, 1000), np.float32), r"not \(1, 1, 1000\) of float32"),
        (np.zeros((1, 1000)), r"not \(1, 1000\) of float64"),
        (np.zeros((1, 1000), np.int32), "of int32"),
        (np.zeros((1, 1000), ">f4"), "of >f4"),
        (torch.zeros(1, 1000, dtype=torch.bfloat16), "of bfloat16"),
        (torch.zeros(1000), r"not \(1000,\)"),
        ([[0.0] * 1000], "not list"),
    ],
)
def test_other_input_is_refused(waves, message):
    with pytest.raises(UserError, match=message):
        lfcc(waves, DEFAULT)


def test_no_threads_are_refused():
    with pytest.raises(UserError, match="threads is 0"):
        lfcc(noise(1000)[None], DEFAULT, threads=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sample_rate": 1}, "sample_rate is 1: it must be at least 2"),
        ({"n_fft": 0}, "n_fft is 0"),
        ({"n_fft": 2**24 + 1}, "n_fft is 16777217: it must be at most"),
        ({"n_fft": 2**40}, r"n_fft is 1099511627776: it must be int, below 2\^31"),
        ({"center": None}, "center is None: it must be bool"),
        ({"n_fft": 320.5}, r"n_fft is 320\.5: it must be int"),
        ({"win_length": 0}, "win_length is 0"),
        ({"win_length": 321}, "win_length is 321: it must be at most n_fft, 320"),
        ({"hop_length": 0}, "hop_length is 0"),
        ({"n_filter": 0}, "n_filter is 0"),
        ({"n_filter": 2**24 + 1}, "n_filter is 16777217: it must be at most"),
        ({"n_lfcc": 0}, "n_lfcc is 0"),
        ({"n_lfcc": 129}, "n_lfcc is 129: it must be at most n_filter, 128"),
        ({"f_min": -1.0}, "f_min is -1"),
        ({"f_min": float("nan")}, "f_min is nan"),
        ({"f_min": 8000.0}, "f_min is 8000: it must be at least 0 and below f_max"),
        ({"f_min": 3000.0, "f_max": 2000.0}, "f_min is 3000"),
        ({"f_max": 8000.5}, r"f_max is 8000\.5: it must be at most half the sample rate, 8000"),
        ({"f_max": float("nan")}, "f_max is nan"),
        ({"f_max": "8 kHz"}, "f_max is '8 kHz': it must be float | None"),
        ({"log_lf": "yes"}, "log_lf is 'yes': it must be bool"),
    ],
    ids=str,
)
def test_bad_options_are_refused(wrong, message):
    with pytest.raises(UserError, match=message.replace("|", r"\|")):
        LfccOptions(**wrong)


def test_the_core_has_the_same_options_and_defaults():
    native = _C.LfccOptions()
    assert {name: getattr(native, name) for name in dir(native) if not name.startswith("_")}.keys() == {
        *dataclasses.asdict(DEFAULT),
        "check",
        "frames",
    }
    for name, value in dataclasses.asdict(DEFAULT).items():
        assert getattr(native, name) == value
    assert repr(native) == (
        "LfccOptions(sample_rate=16000, n_fft=320, win_length=320, hop_length=160, center=false, n_filter=128, "
        "n_lfcc=80, f_min=0, f_max=none, log_lf=false)"
    )


def test_the_core_guards_its_memory():
    with pytest.raises(ValueError, match="waves must be"):
        _C.lfcc(np.zeros(1000, np.float32), _C.LfccOptions(), 1)
    with pytest.raises(TypeError):
        _C.lfcc(np.zeros((2, 1000), np.float32)[:, ::2], _C.LfccOptions(), 1)
