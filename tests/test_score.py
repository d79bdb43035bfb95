"""Scores of trials that several conditions have."""

import pytest

from srctrace.score import Lists, score
from srctrace.tables import read_table, write_table
from srctrace.train import TrainOptions, train
from tests.small_features import SOURCES, inputs, make_features

VARIANTS = ["clean", "noise"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    for language in ("en", "pl"):
        make_features(folder, language)
    options = TrainOptions(epochs=1, batch_size=8, variants=("clean",))
    sizes = {"width": 4}
    train(inputs(folder), folder / "splits" / "en.tsv", folder / "model", "lfcc-resnet18", sizes, SOURCES, 1, options)
    rows = [row for name in ("en", "pl") for row in read_table(folder / "splits" / f"{name}.tsv", [])]
    write_table(folder / "splits" / "both.tsv", rows[0].keys(), rows)
    return folder


def test_a_trial_has_the_same_scores_in_every_condition(trained):
    """Which conditions are scored together changes nothing in the first that has a trial."""
    paths = [trained / "splits" / f"{name}.tsv" for name in ("pl", "en", "both")]
    score(
        trained / "model",
        inputs(trained),
        Lists(paths, trained / "splits" / "en.tsv"),
        VARIANTS,
        trained / "together",
        trained / "together" / "embeddings.npy",
    )
    alone = {}
    for path in paths[:2]:
        score(
            trained / "model",
            inputs(trained),
            Lists([path], trained / "splits" / "en.tsv"),
            VARIANTS,
            trained / "alone",
            trained / "alone" / "embeddings.npy",
        )
        assert (trained / "alone" / path.name).read_bytes() == (trained / "together" / path.name).read_bytes()
        alone |= {(row["utterance"], row["variant"]): row for row in read_table(trained / "alone" / path.name, [])}
    both = read_table(trained / "together" / "both.tsv", [])
    assert len(both) == len(alone) == 2 * len(VARIANTS) * len(SOURCES) * 6
    assert all(row == alone[row["utterance"], row["variant"]] for row in both)
