"""Models and sounds that the tests share. They are read only, but for what is enrolled in copies of a model."""

import numpy as np
import pytest
import soundfile

from tests.tracing.small_models import HIGH, RATE, SOURCES, STRANGER, make_model, sound


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A model with a decision, to which all is known."""
    return make_model(tmp_path_factory.mktemp("models") / "decided")


@pytest.fixture(scope="session")
def undecided(tmp_path_factory):
    """A model without."""
    return make_model(tmp_path_factory.mktemp("models") / "undecided", threshold=None)


@pytest.fixture(scope="session")
def strict(tmp_path_factory):
    """The same, to which nothing is known."""
    return make_model(tmp_path_factory.mktemp("models") / "strict", threshold=HIGH)


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """`{source}.wav` of a segment each, `long.wav` of 8 s of one source and 4 s of another, and `broken.wav`."""
    folder = tmp_path_factory.mktemp("sounds")
    for source in (*SOURCES, STRANGER):
        soundfile.write(folder / f"{source}.wav", sound(source, seed=100), RATE)
    both = np.concatenate([sound("hum", 8.0, seed=101), sound("hiss", 4.0, seed=102)])
    soundfile.write(folder / "long.wav", both, RATE)
    (folder / "broken.wav").write_text("no audio")
    return folder
