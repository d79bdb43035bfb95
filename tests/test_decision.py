import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.special import softmax

from srctrace import decision
from srctrace.embeddings import read_embeddings
from srctrace.errors import UserError
from srctrace.grid import BONA_FIDE
from srctrace.openset import detectors, table
from tests.openset.made import MODEL, SIZE, SOURCES, made_trials, write_trials

TRIALS = made_trials()
FITTED = decision.fit(TRIALS, "made")


@pytest.fixture
def folder(tmp_path):
    write_trials(TRIALS, tmp_path)
    decision.save(FITTED, tmp_path / decision.NAME, "12ab")
    return tmp_path


def test_what_is_read_decides_as_what_was_written(folder):
    read = decision.load(folder)
    known = TRIALS.known
    assert (read.sources, read.method, read.facts) == (SOURCES, detectors.DEFAULT, FITTED.facts)
    assert (read.temperature, read.threshold, read.mean, read.deviation) == (
        FITTED.temperature,
        FITTED.threshold,
        FITTED.mean,
        FITTED.deviation,
    )
    for one, other in (
        (read.score(known.embedding, known.logits), FITTED.score(known.embedding, known.logits)),
        (read.log_probabilities(known.logits), FITTED.log_probabilities(known.logits)),
        (read.project(known.embedding), FITTED.project(known.embedding)),
        (read.prototypes, FITTED.prototypes),
        (read.margins(FITTED.prototypes), FITTED.margins(FITTED.prototypes)),
    ):
        np.testing.assert_array_equal(one, other)


def test_the_file_is_the_same_every_time(folder):
    first = (folder / decision.NAME).read_bytes()
    decision.save(decision.fit(made_trials(), "made"), folder / decision.NAME, "12ab")
    assert (folder / decision.NAME).read_bytes() == first
    assert decision.load(folder).method == FITTED.method


def test_embeddings_are_read_as_they_were_written(folder):
    read = read_embeddings(folder / "embeddings.npy", SOURCES)
    np.testing.assert_allclose(read.embedding, TRIALS.embedding, rtol=1e-6)
    np.testing.assert_allclose(read.logits, TRIALS.logits, atol=1e-6)
    for name in ("label", "utterance", "variant", "split", "language", "source", "speaker"):
        np.testing.assert_array_equal(getattr(read, name), getattr(TRIALS, name))


@pytest.mark.parametrize("split", ["train", "dev"])
def test_nothing_to_fit_on_is_refused(tmp_path, split):
    write_trials(TRIALS.where(TRIALS.split != split), tmp_path)
    with pytest.raises(UserError, match=f"clean {split} trials"):
        read_embeddings(tmp_path / "embeddings.npy", SOURCES)


def test_logits_of_another_model_are_refused(folder):
    with pytest.raises(UserError, match="logit_other"):
        read_embeddings(folder / "embeddings.npy", (*SOURCES, "other"))


def test_no_file_is_no_decision(tmp_path):
    assert decision.load(tmp_path) is None


def test_a_decision_for_other_weights_is_refused(folder):
    content = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(content | {"weights_sha256": "34cd"}))
    with pytest.raises(UserError, match="other weights"):
        decision.load(folder)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"", lambda data: data.replace(b"++", b"__")])
def test_a_damaged_file_is_refused(folder, damage):
    path = folder / decision.NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="damaged"):
        decision.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"whitening": FITTED.whitening[:, 0]}, "damaged"),
        ({"centre": FITTED.centre[:-1]}, "centre of shape"),
        ({"prototypes": FITTED.prototypes[:-1]}, "prototypes of shape"),
        ({"cohort": FITTED.cohort[:, :-1]}, "cohort of shape"),
        ({"cohort": FITTED.cohort[:0]}, "numbers are missing"),
        ({"prototypes": np.full_like(FITTED.prototypes, np.nan)}, "NaN"),
        ({"threshold": np.inf}, "NaN"),
        ({"temperature": 0.0}, "not above 0"),
        ({"detector": detectors.Detector(detectors.DEFAULT, {"centre": FITTED.centre})}, "damaged"),
        ({"detector": detectors.Detector("nsd", {"mean": FITTED.centre[:-1]})}, "damaged"),
        ({"facts": {"corpus": "made"}}, "languages"),
        ({"facts": []}, "damaged"),
        ({"sources": SOURCES[::-1]}, "other sources"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(folder, change, message):
    decision.save(replace(FITTED, **change), folder / decision.NAME, "12ab")
    with pytest.raises(UserError, match=message):
        decision.load(folder)


@pytest.mark.parametrize(("found", "fix"), [(1, "delete it.*snakemake"), (9, "install a newer srctrace")])
def test_a_decision_of_another_format_is_refused(folder, monkeypatch, found, fix):
    monkeypatch.setattr(decision, "FORMAT", found)
    decision.save(FITTED, folder / decision.NAME, "12ab")
    monkeypatch.undo()
    with pytest.raises(UserError, match=f"a decision of format {found}.*{fix}"):
        decision.load(folder)


def test_a_decision_that_says_no_format_is_an_older_one(folder):
    with safe_open(folder / decision.NAME, framework="np") as file:
        content = json.loads(file.metadata()["decision"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    del content["format"]
    save_file(arrays, folder / decision.NAME, {"decision": json.dumps(content)})
    with pytest.raises(UserError, match=r"a decision of format 1.*delete it"):
        decision.load(folder)


RATES = ("auroc", "false_acceptance", "false_rejection")


def test_unknown_sources_change_facts_alone(tmp_path):
    everything = made_trials(unknown=("x", "y", BONA_FIDE), spread=4)
    openset, _ = table.measure(MODEL, everything)
    tested = decision.fit(everything, "made", openset)
    alone = decision.fit(everything.where(np.isin(everything.split, ["train", "dev"])), "made")
    for name, value in vars(alone).items():
        if name == "detector":
            assert value.learnt.keys() == tested.detector.learnt.keys()
            for array, other in zip(value.learnt.values(), tested.detector.learnt.values(), strict=True):
                np.testing.assert_array_equal(array, other)
        elif name != "facts":
            np.testing.assert_array_equal(value, getattr(tested, name))
    assert (alone.facts["unknown"], alone.facts["trained_languages"], alone.facts["bona_fide"]) == ([], None, False)
    assert (tested.facts["unknown"], tested.facts["bona_fide"]) == (["x", "y"], True)
    rows = [row for row in openset if row["method"] == detectors.DEFAULT and row["rotation"] == "-"]
    for place, there in (("trained_languages", True), ("other_languages", False)):
        own = [row for row in rows if row["unknown"] == "all" and (row["test"] in tested.facts["languages"]) == there]
        assert own
        real = [row for row in rows if row["unknown"] == BONA_FIDE and row["test"] in {one["test"] for one in own}]
        for found, those in ((tested.facts[place], own), (tested.facts[f"bona_fide_{place}"], real)):
            assert found["languages"] == [row["test"] for row in those] == (["en"] if there else ["de"])
            rates = {name: np.mean([row[name] for row in those]) for name in RATES}
            assert {name: found[name] for name in RATES} == pytest.approx(rates)
    json.dumps(tested.facts)


def test_real_speech_of_other_languages_alone_is_no_test_of_those_trained_on():
    everything = made_trials(unknown=("x", BONA_FIDE), spread=4)
    openset, _ = table.measure(MODEL, everything)
    elsewhere = [row for row in openset if row["unknown"] != BONA_FIDE or row["test"] == "de"]
    facts = decision.fit(everything, "made", elsewhere).facts
    assert (facts["bona_fide"], facts["bona_fide_trained_languages"]) == (False, None)
    assert facts["bona_fide_other_languages"]["languages"] == ["de"]


def test_dev_is_accepted_as_was_aimed_at():
    dev = TRIALS.dev
    scores = FITTED.score(dev.embedding, dev.logits)
    assert 0 < np.mean(scores < FITTED.threshold) <= FITTED.facts["false_rejection"] == 0.05
    assert (FITTED.mean, FITTED.deviation) == pytest.approx((scores.mean(), scores.std()))
    assert FITTED.facts["languages"] == ["en"]
    assert FITTED.facts["n_dev"] == len(dev)


def test_probabilities_are_those_of_the_temperature():
    logits = TRIALS.known.logits
    np.testing.assert_allclose(
        np.exp(FITTED.log_probabilities(logits.astype(np.float32))),
        softmax(logits / FITTED.temperature, axis=1),
        rtol=1e-4,
    )


def test_prototypes_are_nearest_to_their_own():
    known = TRIALS.known
    projected = FITTED.project(known.embedding)
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(FITTED.prototypes, axis=1), 1)
    assert projected.shape == (len(known), FITTED.prototypes.shape[1]) == (len(known), SIZE)
    assert np.mean((projected @ FITTED.prototypes.T).argmax(axis=1) == known.label) == 1


def test_a_source_without_train_utterances_has_no_prototype():
    fitted = decision.fit(TRIALS.where((TRIALS.split != "train") | (TRIALS.label != 1)), "made")
    assert fitted.prototypes.shape[0] == 3
    assert not fitted.prototypes[1].any()
    np.testing.assert_allclose(np.linalg.norm(fitted.prototypes[[0, 2]], axis=1), 1)


def test_scores_that_do_not_differ_can_be_averaged():
    same = replace(TRIALS, embedding=np.ones_like(TRIALS.embedding))
    fitted = decision.fit(same, "made")
    assert np.isfinite([fitted.mean, fitted.deviation, fitted.threshold]).all()
    assert fitted.deviation > 0
