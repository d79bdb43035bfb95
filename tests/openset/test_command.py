"""`srctrace measure` and `srctrace collect`, on a model's folder."""

import pytest
from scipy.special import softmax

from srctrace import decision
from srctrace.cli import main
from srctrace.metrics import SCORES_COLUMNS
from srctrace.protocol import COLUMNS as SPLIT_COLUMNS
from srctrace.tables import read_table, write_table
from tests.openset.made import MODEL, SOURCES, made_trials, write_trials

TABLES = ("metrics", "classes", "confusion", "calibration", "reliability", "openset", "detection", "fewshot")


def measured(folder, unknown):
    trials = made_trials(unknown=unknown, spread=4)
    write_trials(trials, folder)
    for test in ("en", "de"):
        tested = trials.known.where(trials.known.language == test)
        split, scores = [], []
        for index, probabilities in enumerate(softmax(tested.logits, axis=1)):
            row = dict.fromkeys(SPLIT_COLUMNS, "") | {"split": "eval", "origin": "given"}
            names = ("utterance", "language", "source", "speaker")
            split.append(row | {name: str(getattr(tested, name)[index]) for name in names})
            first = SOURCES[probabilities.argmax()]
            scores.append(
                dict(
                    zip(SCORES_COLUMNS, (split[-1]["utterance"], "clean", split[-1]["source"], first), strict=True),
                    **{f"p_{source}": float(value) for source, value in zip(SOURCES, probabilities, strict=True)},
                )
            )
        write_table(folder / "splits" / f"{test}.tsv", SPLIT_COLUMNS, split)
        write_table(folder / "scores" / f"{test}.tsv", list(scores[0]), scores)
    flags = [word for name, value in MODEL.items() for word in (f"--{name}", value)]
    flags += ["--cells", "mono/en", "mono/de", "--model", folder, "--scores", folder / "scores"]
    flags += ["--embeddings", folder / "embeddings.npy", "--splits", folder / "splits", "--out", folder / "out"]
    return main(["measure", *map(str, flags)])


@pytest.mark.parametrize("unknown", [("x", "y"), ()])
def test_all_that_is_found_of_a_model(tmp_path, unknown):
    assert not measured(tmp_path, unknown)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [*(f"{table}.tsv" for table in TABLES), decision.NAME]
    )
    for table in TABLES:
        assert bool(read_table(tmp_path / "out" / f"{table}.tsv", [])) == (bool(unknown) or table in TABLES[:5])
        flags = [str(tmp_path / "out" / f"{table}.tsv"), "--out", str(tmp_path / f"{table}.tsv")]
        assert not main(["collect", table, *flags])
    metrics, calibration = (read_table(tmp_path / f"{name}.tsv", []) for name in ("metrics", "calibration"))
    assert [row["n_trials"] for row in metrics] == [row["n_trials"] for row in calibration]
    (tmp_path / "out" / "model.json").write_bytes((tmp_path / "model.json").read_bytes())
    assert decision.load(tmp_path / "out").facts["unknown"] == list(unknown)


def test_a_model_that_is_not_there_is_named(tmp_path, capsys):
    write_trials(made_trials(), tmp_path)
    (tmp_path / "model.json").unlink()
    flags = [word for name, value in MODEL.items() for word in (f"--{name}", value)]
    flags += ["--cells", "mono/en", "--model", tmp_path, "--scores", tmp_path, "--embeddings", tmp_path / "x.npy"]
    assert main(["measure", *map(str, [*flags, "--splits", tmp_path, "--out", tmp_path])]) == 2
    assert "model.json: no such file" in capsys.readouterr().err
