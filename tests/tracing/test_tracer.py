"""Traces: as the workflow scores, whatever files are traced together; verdicts; several models; SSL front-ends."""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from scipy.special import log_softmax, softmax

from srctrace import decision
from srctrace.audio import decode
from srctrace.checkpoint import load_checkpoint
from srctrace.errors import UserError
from srctrace.features import Utterances, pack_lfcc
from srctrace.frontends.ssl import load_encoder
from srctrace.frontends.tiny import make_checkpoint
from srctrace.frontends.weights import locate, pin
from srctrace.openset import detectors
from srctrace.protocol import COLUMNS
from srctrace.score import Lists, score
from srctrace.tables import read_table, write_table
from srctrace.tracing import Tracer
from srctrace.tracing.basis import basis_lines, basis_of
from srctrace.tracing.result import KNOWN, UNKNOWN
from srctrace.trials import FeatureSets
from srctrace.waves import pack_waves
from tests.noise_files import small_bank
from tests.tracing.small_models import (
    OPTIONS,
    RATE,
    SECONDS,
    SOURCES,
    logits_of,
    make_model,
    make_ssl_model,
    sound,
)


def load(*folders):
    return Tracer.load(folders, "cpu", 1)


def test_probabilities_are_those_of_the_workflow(tmp_path, undecided):
    """Decode, extract and score, on files of any rate that are as long as the model's inputs."""
    rows = []
    for number, rate in enumerate((8000, 16000, 22050, 44100, 48000)):
        source = SOURCES[number % 3]
        signal = np.stack([sound(source, seed=seed, rate=rate) for seed in (number, number + 50)], axis=1)
        soundfile.write(tmp_path / f"{number}.wav", signal, rate, subtype="PCM_24")
        row = {"utterance": str(number), "split": "eval" if number else "train", "language": "en", "source": source}
        rows.append(dict.fromkeys(COLUMNS, "") | row)
    small_bank(tmp_path)
    pack_waves([{**row, "path": f"{row['utterance']}.wav"} for row in rows], tmp_path, tmp_path / "w.npy", SECONDS, 0)
    split_of = {row["utterance"]: row["split"] for row in rows}
    utterances = Utterances.open(tmp_path / "w.npy", tmp_path / "bank.npy", split_of, ["clean"], seed=0)
    pack_lfcc(utterances, tmp_path / "features" / "en.npy", OPTIONS)
    made = json.loads((undecided / "model.json").read_text())["frontend"]
    (tmp_path / "features" / "en.json").write_text(json.dumps(made))
    write_table(tmp_path / "en.tsv", COLUMNS, rows)
    inputs = partial(FeatureSets.open, tmp_path / "features")
    lists = Lists([tmp_path / "en.tsv"], tmp_path / "en.tsv")
    score(undecided, inputs, lists, ["clean"], tmp_path / "scores", tmp_path / "embeddings.npy")
    scores = read_table(tmp_path / "scores" / "en.tsv", [])
    traces = load(undecided).trace([tmp_path / f"{row['utterance']}.wav" for row in scores])
    for trace, row in zip(traces, scores, strict=True):
        found = dict(trace.ranking)
        assert [found[source] for source in SOURCES] == pytest.approx([float(row[f"p_{s}"]) for s in SOURCES], abs=2e-6)


def test_verdicts(model, strict, sounds):
    files = [sounds / f"{source}.wav" for source in SOURCES]
    for source, known, unknown in zip(SOURCES, load(model).trace(files), load(strict).trace(files), strict=True):
        assert (known.verdict, known.source) == (KNOWN, source)
        assert (unknown.verdict, unknown.source) == (UNKNOWN, source)
        assert known.threshold < known.score == unknown.score < unknown.threshold
        assert known.ranking == unknown.ranking
        assert known.ranking[0] == (source, known.probability)
        assert sum(probability for _, probability in known.ranking) == pytest.approx(1)


def test_a_file_is_the_mean_of_its_segments(model, sounds):
    waves = decode(sounds / "long.wav").samples.reshape(12, RATE)
    logs = decision.load(model).log_probabilities(logits_of(model, waves))
    (trace,) = load(model).trace([sounds / "long.wav"])
    expected = softmax(logs.mean(axis=0))
    found = dict(trace.ranking)
    np.testing.assert_allclose([found[source] for source in SOURCES], expected, atol=1e-5)
    np.testing.assert_allclose([one.probability for one in trace.segments], np.exp(logs.max(axis=1)), atol=1e-5)
    assert trace.score == pytest.approx(np.mean([one.score for one in trace.segments]))
    assert [one.source for one in trace.segments] == ["hum"] * 8 + ["hiss"] * 4
    assert trace.disagreeing == [one for one in trace.segments if one.source != trace.source]
    assert [(one.start, one.end) for one in trace.segments] == [(start, start + 1.0) for start in range(12)]


def test_files_do_not_depend_on_one_another(model, sounds):
    """In order, whatever is broken among them; and what a file is given does not depend on the others."""
    files = [sounds / "long.wav", sounds / "broken.wav", *(sounds / f"{source}.wav" for source in SOURCES)] * 5
    tracer = load(model)
    alone = {file: next(tracer.trace([file])) for file in files}
    together = list(tracer.trace(files))
    assert [trace.file for trace in together] == [str(file) for file in files]
    for trace, file in zip(together, files, strict=True):
        assert trace.error == alone[file].error
        assert trace.probability == (alone[file].probability and pytest.approx(alone[file].probability, abs=1e-5))
        assert len(trace.segments) == len(alone[file].segments)
    assert "cannot be read as audio" in together[1].error


def test_a_trace_comes_as_soon_as_its_segments_are_through(model, sounds):
    """The files after it are not read to their ends before."""
    traces = load(model).trace([sounds / "long.wav"] * 200)
    assert next(traces).source in SOURCES
    traces.close()


def test_segments_of_unknown_source_are_not_told_apart(strict, sounds):
    (trace,) = load(strict).trace([sounds / "long.wav"])
    assert (trace.verdict, trace.disagreeing) == (UNKNOWN, [])


def test_silence_is_left_out(tmp_path, model):
    still = np.zeros(2 * RATE)
    soundfile.write(tmp_path / "a.wav", np.concatenate([still, sound("hum", 3.0)]), RATE)
    soundfile.write(tmp_path / "b.wav", still, RATE)
    some, nothing = load(model).trace([tmp_path / "a.wav", tmp_path / "b.wav"])
    assert (some.silent, len(some.segments), some.source) == (2, 3, "hum")
    assert "silent" in nothing.error
    assert nothing.verdict is None


def test_without_a_decision_there_is_no_verdict(undecided, sounds):
    tracer = load(undecided)
    (trace,) = tracer.trace([sounds / "hum.wav"])
    expected = softmax(logits_of(undecided, decode(sounds / "hum.wav").samples[np.newaxis])[0])
    assert (trace.verdict, trace.score, trace.threshold) == (None, None, None)
    assert trace.ranking[0] == ("hum", pytest.approx(expected[0], abs=1e-5))
    assert tracer.basis["models"][0]["decision"] is None
    assert tracer.basis["tested_on_real_speech"] is None


def test_where_a_model_has_no_decision_none_is_calibrated(tmp_path, model, sounds):
    """A mean of calibrated and other probabilities would be neither."""
    other = make_model(tmp_path / "other", threshold=None, seed=3)
    wave = decode(sounds / "buzz.wav").samples[np.newaxis]
    tracer = load(model, other)
    (trace,) = tracer.trace([sounds / "buzz.wav"])
    logs = [log_softmax(logits_of(folder, wave)[0]) for folder in (model, other)]
    np.testing.assert_allclose([dict(trace.ranking)[s] for s in SOURCES], softmax(np.mean(logs, axis=0)), rtol=1e-4)
    assert trace.verdict is None
    (line,) = (line for line in basis_lines(tracer.basis) if "geometric mean" in line)
    assert "none is calibrated; there is no verdict, and no enrolled source is considered" in line


def test_a_source_without_train_utterances_is_like_nothing(tmp_path, model, sounds):
    """Its prototype of zeros would be nearer than all that are behind it."""
    folder = shutil.copytree(model, tmp_path / "model")
    fitted = decision.load(folder)
    prototypes = np.stack([*-fitted.prototypes[:1].repeat(2, axis=0), np.zeros(fitted.prototypes.shape[1])])
    weights = decision.read_model(folder)["weights_sha256"]
    decision.save(replace(fitted, prototypes=prototypes), folder / decision.NAME, weights)
    tracer = load(folder)
    (member,) = tracer.members
    waves = decode(sounds / "hum.wav").samples[np.newaxis]
    similarity = member.decision.project(member.run(member.front_end(waves))[0]) @ -fitted.prototypes[0]
    assert similarity < 0
    tracer.enrolled, tracer._prototypes = ["new"], [fitted.prototypes[:1]]
    assert tracer._weigh(waves).known == pytest.approx(similarity)


def test_real_speech_is_told_by_languages(model):
    """Of other languages alone, it is no test."""
    (one,) = load(model).members
    means = {"auroc": 0.7, "false_acceptance": 0.25, "false_rejection": 0.05}
    elsewhere = {"bona_fide_other_languages": {"languages": ["de", "pl"], **means}}
    trained = {"bona_fide": True, "bona_fide_trained_languages": {"languages": ["en"], **means}}
    words = []
    for facts in ({}, elsewhere, elsewhere | trained):
        tested = replace(one, decision=replace(one.decision, facts=one.decision.facts | facts))
        basis = basis_of([tested])
        assert basis["tested_on_real_speech"] == ("bona_fide" in facts)
        words.append("\n".join(basis_lines(basis)))
    assert "  Not tested on real speech: of a recording" in words[0]
    assert "  Not tested on real speech in the training languages: of a recording" in words[1]
    assert "    of real speech in other languages (de, pl), 25.0 % was called a known source\n" in words[1]
    assert "    of real speech in the training languages (en), 25.0 % was called a known source\n" in words[2]
    assert words[2].endswith("  Tested on real speech in the training languages, as on an unknown source.")
    both = basis_of([tested, one])
    assert both["tested_on_real_speech"] is False


def test_a_name_of_the_hub_reaches_no_terminal_as_it_is(model):
    (one,) = load(model).members
    named = replace(one, description=replace(one.description, system="\x1b[31mred", training={"corpus": "a\nb"}))
    lines = basis_lines(basis_of([named]))
    assert all(line.isprintable() for line in lines)
    assert any("\\x1b[31mred" in line for line in lines)


def test_a_decision_on_other_embeddings_is_refused(tmp_path, model):
    folder = shutil.copytree(model, tmp_path / "model")
    fitted = decision.load(folder)
    learnt = {"mean": np.ones(3)}
    smaller = replace(
        fitted, centre=np.zeros(3), whitening=fitted.whitening[:3], detector=detectors.Detector("nsd", learnt)
    )
    decision.save(smaller, folder / decision.NAME, decision.read_model(folder)["weights_sha256"])
    with pytest.raises(UserError, match="of embeddings of size 3, and those of the model have"):
        load(folder)


def test_several_models_are_averaged(tmp_path, model, sounds):
    """Whatever the order of their sources."""
    other = make_model(tmp_path / "other", sources=SOURCES[::-1], seed=3)
    wave = decode(sounds / "buzz.wav").samples[np.newaxis]
    (first,), (second,), (both,) = (
        load(*which).trace([sounds / "buzz.wav"]) for which in ([model], [other], [model, other])
    )
    logs = [log_softmax(np.log([dict(trace.ranking)[source] for source in SOURCES])) for trace in (first, second)]
    np.testing.assert_allclose([dict(both.ranking)[s] for s in SOURCES], softmax(np.mean(logs, axis=0)), atol=1e-5)
    assert logits_of(other, wave)[0].argmax() == SOURCES[::-1].index("buzz")
    scaled = [
        ((trace.score - one.mean) / one.deviation, (trace.threshold - one.mean) / one.deviation)
        for trace, one in ((first, decision.load(model)), (second, decision.load(other)))
    ]
    np.testing.assert_allclose((both.score, both.threshold), np.mean(scaled, axis=0), rtol=1e-4)


def test_models_that_do_not_go_together_are_refused(tmp_path, model):
    fewer = make_model(tmp_path / "fewer", threshold=None, sources=SOURCES[:2])
    with pytest.raises(UserError, match="it lacks buzz: trace"):
        load(model, fewer)


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path)


def test_ssl_models(tmp_path, sounds):
    """Frozen and fine-tuned: what the model itself makes of the waveforms."""
    make_checkpoint("wav2vec2", tmp_path / "checkpoint")
    pin(str(tmp_path / "checkpoint"), "main", tmp_path / "pinned.json")
    pinned = json.loads((tmp_path / "pinned.json").read_text())
    encoder = load_encoder(locate(pinned), pinned, "last").eval()
    waves = torch.from_numpy(decode(sounds / "hum.wav").samples[np.newaxis]) / 32768
    tuned = make_ssl_model(tmp_path / "tuned", encoder.n_features, {"frontend": "waves"}, encoder.description)
    made = {"frontend": "ssl", **{key: pinned[key] for key in ("checkpoint", "revision", "files")}}
    made |= {"layers": "last", "n_layers": 0}
    frozen = make_ssl_model(tmp_path / "frozen", encoder.n_features, made, {})
    for folder, inputs in ((tuned, waves), (frozen, encoder(waves))):
        module, _ = load_checkpoint(folder)
        with torch.inference_mode():
            expected = module(inputs)[1].double().softmax(dim=1)[0].numpy()
        (trace,) = load(folder).trace([sounds / "hum.wav"])
        np.testing.assert_allclose([dict(trace.ranking)[source] for source in SOURCES], expected, atol=1e-5)
    shutil.rmtree(tmp_path / "checkpoint")
    with pytest.raises(UserError, match="missing"):
        load(frozen)
