import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from srctrace.errors import UserError
from srctrace.metrics import (
    CLASSES_COLUMNS,
    CONFUSION_COLUMNS,
    METRICS_COLUMNS,
    SUMMARY_COLUMNS,
    Scores,
    bootstrap_interval,
    collect,
    evaluate,
    macro_f1,
    measure,
    read_scores,
    summarise,
)
from srctrace.protocol import COLUMNS as SPLIT_COLUMNS
from srctrace.tables import read_table, write_table

SOURCES = ("bark", "tacotron2", "vits", "xtts")
MODEL = {"corpus": "c", "system": "lfcc-resnet18", "seed": 1, "train": "de"}

pairs_of_sources = st.lists(st.tuples(st.sampled_from(SOURCES), st.sampled_from(SOURCES)), min_size=1, max_size=60)


def some_scores(n: int, accuracy: float, speakers: int = 0, variants: tuple[str, ...] = ("clean",)) -> Scores:
    rng = np.random.default_rng(0)
    rows = []
    for index in range(n):
        label = SOURCES[index % len(SOURCES)]
        for variant in variants:
            slip = 0 if rng.random() < accuracy else rng.integers(1, len(SOURCES))
            predicted = SOURCES[(index + slip) % len(SOURCES)]
            rows.append((f"u{index}", f"s{index // 4 % speakers}" if speakers else "", variant, label, predicted))
    return Scores.of(rows)


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


class TestEvaluate:
    @given(pairs_of_sources)
    def test_agrees_with_scikit_learn(self, pairs):
        labels, predicted = zip(*pairs, strict=True)
        present = sorted(set(labels))
        found = evaluate(labels, predicted, SOURCES)
        f1 = f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
        assert found.macro_f1 == pytest.approx(f1)
        assert macro_f1(labels, predicted) == pytest.approx(f1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of predictions of classes without trials
            assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
        per_class = precision_recall_fscore_support(labels, predicted, labels=SOURCES, zero_division=0)
        for ours, theirs in zip((found.precision, found.recall, found.f1, found.trials), per_class, strict=True):
            np.testing.assert_allclose(ours, theirs)
        np.testing.assert_array_equal(found.confusion, confusion_matrix(labels, predicted, labels=SOURCES))
        assert found.accuracy == pytest.approx(np.mean([label == guess for label, guess in pairs]))

    @given(pairs_of_sources, st.permutations(SOURCES), st.randoms())
    def test_order_of_trials_and_names_of_sources_do_not_matter(self, pairs, names, random):
        rename = dict(zip(SOURCES, names, strict=True))
        renamed = [(rename[label], rename[predicted]) for label, predicted in pairs]
        random.shuffle(renamed)
        assert macro_f1(*zip(*renamed, strict=True)) == pytest.approx(macro_f1(*zip(*pairs, strict=True)))

    def test_class_never_predicted_counts_zero(self):
        found = evaluate(["bark", "bark", "vits"], ["bark", "bark", "bark"], SOURCES)
        assert found.f1[2] == 0
        assert found.macro_f1 == pytest.approx((0.8 + 0) / 2)

    def test_prediction_of_absent_class_is_kept(self):
        found = evaluate(["bark", "bark"], ["bark", "xtts"], SOURCES)
        assert found.confusion[0, 3] == 1
        assert found.macro_f1 == pytest.approx(2 / 3)  # not halved by xtts, which has no trials

    def test_numbers_serve_as_classes(self):
        assert macro_f1([0, 1, 1], [0, 1, 1]) == 1

    @pytest.mark.parametrize(("labels", "predicted"), [([], []), (["nobody"], ["vits"]), (["vits"], ["nobody"])])
    def test_refuses(self, labels, predicted):
        with pytest.raises(UserError):
            evaluate(labels, predicted, SOURCES)


class TestInterval:
    @given(pairs_of_sources, st.integers(0, 5))
    @settings(max_examples=50, deadline=None)
    def test_holds_the_point_and_has_a_width(self, pairs, speakers):
        scores = Scores.of(
            (f"u{i}", f"s{i % speakers}" if speakers else "", "clean", *pair) for i, pair in enumerate(pairs)
        )
        low, high = bootstrap_interval(scores, SOURCES, ["test"], replicates=100)
        assert 0 <= low <= evaluate(scores.label, scores.predicted, SOURCES).macro_f1 <= high <= 1
        assert low < high

    def test_perfect_cell_has_a_lower_end_below_one(self):
        low, high = bootstrap_interval(some_scores(400, 1.0), SOURCES, ["test"])
        assert high == 1
        assert low == pytest.approx(1 - 3.7 / 400, abs=0.002)

    def test_hopeless_cell_has_an_upper_end_above_zero(self):
        low, high = bootstrap_interval(some_scores(400, 0.0), SOURCES, ["test"])
        assert low == 0
        assert 0 < high < 0.05

    def test_is_addressed(self):
        scores = some_scores(100, 0.8)
        assert bootstrap_interval(scores, SOURCES, ["a"]) == bootstrap_interval(scores, SOURCES, ["a"])
        assert bootstrap_interval(scores, SOURCES, ["a"]) != bootstrap_interval(scores, SOURCES, ["b"])

    def test_order_of_trials_does_not_matter(self):
        scores = some_scores(100, 0.8, speakers=5)
        order = np.random.default_rng(1).permutation(len(scores))
        shuffled = Scores(*(column[order] for column in vars(scores).values()))
        expected = bootstrap_interval(scores, SOURCES, ["a"])
        assert bootstrap_interval(shuffled, SOURCES, ["a"]) == pytest.approx(expected, abs=1e-12)

    def test_copies_of_an_utterance_add_nothing(self):
        once = some_scores(100, 0.8)
        copies = {"variant": np.repeat(["clean", "noise", "music", "babble", "reverb"], 100)}
        five = Scores(**{name: copies.get(name, np.tile(column, 5)) for name, column in vars(once).items()})
        expected = bootstrap_interval(once, SOURCES, ["a"])
        assert bootstrap_interval(five, SOURCES, ["a"]) == pytest.approx(expected, abs=1e-9)

    def test_speakers_that_differ_widen_it(self):
        utterances = some_scores(400, 1.0, speakers=10)
        bad = np.isin(utterances.speaker, ["s0", "s1", "s2"])
        wrong = np.where(utterances.label == "vits", "bark", "vits")
        scores = Scores(**{**vars(utterances), "predicted": np.where(bad, wrong, utterances.label)})
        unknown = Scores(**{**vars(scores), "speaker": np.full(len(scores), "")})
        by_speaker = bootstrap_interval(scores, SOURCES, ["a"])
        assert width(by_speaker) > 2 * width(bootstrap_interval(unknown, SOURCES, ["a"]))

    def test_one_speaker_falls_back_to_utterances(self):
        one = some_scores(200, 0.8, speakers=1)
        unknown = Scores(**{**vars(one), "speaker": np.full(len(one), "")})
        assert width(bootstrap_interval(one, SOURCES, ["a"])) >= width(bootstrap_interval(unknown, SOURCES, ["a"]))

    @pytest.mark.parametrize("speakers", [2, 3, 4, 5, 12])
    def test_is_no_extreme_of_the_replicates(self, speakers):
        """Other draws, or ten times as many, hardly move it."""
        scores = some_scores(300, 0.8, speakers=speakers)
        lows = [bootstrap_interval(scores, SOURCES, [address])[0] for address in range(5)]
        lows.append(bootstrap_interval(scores, SOURCES, ["a"], replicates=10_000)[0])
        assert max(lows) - min(lows) < 0.03

    @pytest.mark.parametrize("speakers", [1, 2])
    def test_a_speaker_or_two_say_nothing_of_speakers(self, speakers):
        few = some_scores(300, 0.8, speakers=speakers)
        unknown = some_scores(300, 0.8)
        assert bootstrap_interval(few, SOURCES, ["a"]) == bootstrap_interval(unknown, SOURCES, ["a"])

    @pytest.mark.parametrize(
        ("accuracy", "speakers", "per_speaker", "spread"),
        [
            (0.9, 0, 0, 0.0),  # independent utterances
            (0.99, 0, 0, 0.0),  # mostly perfect cells
            (0.9, 12, 8, 1.0),  # speakers that differ
            (0.9, 6, 16, 0.0),  # speakers that do not
        ],
    )
    def test_covers(self, accuracy, speakers, per_speaker, spread):
        """Simulated test sets from a known confusion matrix: the interval holds the true macro-F1 about 95 % of times.

        Speakers are shared by the classes; their log-odds of a right answer have the standard deviation `spread`.
        """
        rng = np.random.default_rng(5)
        k = len(SOURCES)
        odds = np.log(accuracy / (1 - accuracy))

        def rates(count: int) -> np.ndarray:
            return 1 / (1 + np.exp(-odds - spread * rng.standard_normal(count)))

        true = rates(200_000).mean()  # errors are spread evenly, so that macro-F1 is the accuracy
        covered = []
        for run in range(200):
            rate = np.repeat(rates(speakers or 1), k * (per_speaker or 25))
            label = np.tile(np.arange(k), len(rate) // k)
            slip = np.where(rng.random(len(rate)) < rate, 0, rng.integers(1, k, len(rate)))
            names = np.array(SOURCES)
            speaker = np.repeat([f"s{i}" for i in range(speakers or 1)], k * (per_speaker or 25))
            scores = Scores(
                utterance=np.arange(len(rate)).astype(str),
                speaker=speaker if speakers else np.full(len(rate), ""),
                variant=np.full(len(rate), "clean"),
                label=names[label],
                predicted=names[(label + slip) % k],
            )
            low, high = bootstrap_interval(scores, SOURCES, [run], replicates=400)
            covered.append(low <= true <= high)
        assert 0.90 <= np.mean(covered) <= 0.995


@pytest.fixture
def condition(tmp_path: Path) -> tuple[Path, Path]:
    """A split table of 40 eval utterances, and scores of two variants: clean all right, noise all `vits`."""
    rows, scored = [], []
    for index in range(40):
        source = SOURCES[index % 4]
        row = {"utterance": f"u{index}", "language": "fr", "source": source, "speaker": f"s{index % 5}"}
        rows.append({**row, "split": "eval", "sentence": f"t{index}", "seen_speaker": "yes"})
        rows[-1]["origin"] = "dealt"
        for variant, predicted in (("noise", "vits"), ("clean", source)):
            probabilities = {f"p_{name}": 0.7 if name == predicted else 0.1 for name in SOURCES}
            scored.append({"utterance": f"u{index}", "variant": variant, "label": source, "predicted": predicted})
            scored[-1].update(probabilities)
    rows.append({**rows[0], "utterance": "trained", "split": "train", "sentence": "other"})
    paths = tmp_path / "scores" / "fr.tsv", tmp_path / "splits" / "fr.tsv"
    write_table(paths[0], list(scored[0]), scored)
    write_table(paths[1], SPLIT_COLUMNS, rows)
    return paths


def measured(condition: tuple[Path, Path], out: Path, *cells: tuple[str, str]) -> list[dict[str, str]]:
    """Rows of `metrics.tsv` of a model, by default tested on `fr` for the protocol `mono`."""
    folders = [path.parent for path in condition]
    measure(MODEL, cells or [("mono", "fr")], *folders, out)
    return read_table(out / "metrics.tsv", METRICS_COLUMNS)


def edit(path: Path, line: int, **values: str) -> None:
    rows = read_table(path, [])
    rows[line].update(values)
    write_table(path, list(rows[0]), rows)


class TestReadScores:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"utterance": "nobody"}, "not an eval utterance"),
            ({"utterance": "trained"}, "not an eval utterance"),
            ({"variant": "clean"}, "listed twice"),
            ({"variant": "echo"}, "unknown variant"),
            ({"label": "xtts"}, "says 'bark'"),
            ({"predicted": "nobody"}, "not a source of the model"),
            ({"p_vits": "nan"}, "not a probability"),
            ({"p_vits": "inf"}, "not a probability"),
            ({"p_vits": "-0.1"}, "not a probability"),
            ({"p_vits": ""}, "not a probability"),
        ],
    )
    def test_refuses(self, condition, values, message):
        edit(condition[0], 0, **values)
        with pytest.raises(UserError, match=message):
            read_scores(*condition)

    def test_refuses_an_empty_table(self, condition):
        condition[0].write_text("utterance\tvariant\tlabel\tpredicted\tp_vits\n")
        with pytest.raises(UserError, match="nothing to evaluate"):
            read_scores(*condition)

    def test_refuses_a_table_without_probabilities(self, condition):
        condition[0].write_text("utterance\tvariant\tlabel\tpredicted\nu0\tclean\tbark\tbark\n")
        with pytest.raises(UserError, match="no column p_"):
            read_scores(*condition)

    def test_leaves_out_sources_the_model_does_not_know(self, condition):
        for table, column in ((condition[0], "label"), (condition[1], "source")):
            rows = read_table(table, [column])
            for row in rows:
                row[column] = row[column].replace("bark", "stranger")
            write_table(table, list(rows[0]), rows)
        scores, sources = read_scores(*condition)
        assert sources == SOURCES
        assert len(scores) == 60
        assert set(scores.label) == set(SOURCES) - {"bark"}


class TestMeasure:
    def test_tables(self, condition, tmp_path):
        metrics = measured(condition, tmp_path / "out")
        assert [row["variant"] for row in metrics] == ["all", "clean", "noise"]
        assert [row["n_trials"] for row in metrics] == ["80", "40", "40"]
        assert metrics[1]["macro_f1"] == "1.000000"
        assert metrics[2]["macro_f1"] == "0.100000"  # F1 of vits is 0.4, of the others 0
        assert {row["seed"] for row in metrics} == {"1"}
        assert {row["test"] for row in metrics} == {"fr"}
        classes = read_table(tmp_path / "out" / "classes.tsv", CLASSES_COLUMNS)
        noisy = {row["source"]: row for row in classes if row["variant"] == "noise"}
        assert noisy["vits"]["precision"] == "0.250000"
        assert noisy["vits"]["recall"] == "1.000000"
        assert noisy["bark"]["n_trials"] == "10"
        confusion = read_table(tmp_path / "out" / "confusion.tsv", CONFUSION_COLUMNS)
        assert len(confusion) == 3 * 4 * 4
        assert sum(int(row["n"]) for row in confusion if row["variant"] == "all") == 80

    def test_same_bytes_every_time(self, condition, tmp_path):
        for out in ("one", "two"):
            measured(condition, tmp_path / out)
        for name in ("metrics.tsv", "classes.tsv", "confusion.tsv"):
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

    def test_a_cell_does_not_depend_on_the_others(self, condition, tmp_path):
        for path in condition:
            shutil.copy(path, path.with_name("it.tsv"))
        one = measured(condition, tmp_path / "one")
        two = measured(condition, tmp_path / "two", ("mono", "it"), ("mono", "fr"), ("pooled", "fr"))
        assert [row for row in two if (row["protocol"], row["test"]) == ("mono", "fr")] == one
        assert [row["macro_f1_low"] for row in two[:3]] != [row["macro_f1_low"] for row in one]
        assert [row["macro_f1"] for row in two if row["protocol"] == "pooled"] == [row["macro_f1"] for row in one]

    def test_class_without_trials_is_absent(self, condition, tmp_path):
        rows = read_table(condition[0], [])
        write_table(condition[0], list(rows[0]), [row for row in rows if row["label"] != "xtts"])
        edit(condition[0], 0, predicted="xtts")
        measured(condition, tmp_path)
        classes = read_table(tmp_path / "classes.tsv", CLASSES_COLUMNS)
        assert {row["source"] for row in classes} == {"bark", "tacotron2", "vits"}
        confusion = read_table(tmp_path / "confusion.tsv", CONFUSION_COLUMNS)
        assert {row["label"] for row in confusion} == {"bark", "tacotron2", "vits"}
        assert [row["n"] for row in confusion if row["predicted"] == "xtts" and row["variant"] == "noise"] == list(
            "100"
        )

    def test_refuses_two_label_sets(self, condition, tmp_path):
        rows = [{**row, "p_zzz": "0"} for row in read_table(condition[0], [])]
        write_table(condition[0].with_name("it.tsv"), list(rows[0]), rows)
        shutil.copy(condition[1], condition[1].with_name("it.tsv"))
        with pytest.raises(UserError, match="another test"):
            measured(condition, tmp_path, ("mono", "fr"), ("mono", "it"))


class TestSummary:
    def row(self, **values) -> dict:
        return {**MODEL, "protocol": "mono", "test": "fr", "variant": "clean", "macro_f1": "0.5", **values}

    def test_mean_and_deviation_over_seeds(self, tmp_path):
        found = summarise([self.row(seed="1", macro_f1="0.5"), self.row(seed="2", macro_f1="0.7")])
        assert len(found) == 1
        assert found[0]["n_seeds"] == 2
        assert found[0]["macro_f1_mean"] == pytest.approx(0.6)
        assert found[0]["macro_f1_sd"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
        write_table(tmp_path / "summary.tsv", SUMMARY_COLUMNS, found)

    def test_one_seed_has_no_deviation(self):
        assert summarise([self.row()])[0]["macro_f1_sd"] == ""

    def test_order_does_not_matter(self):
        rows = [self.row(seed=str(s), variant=v, test=t) for s in (1, 2) for v in ("reverb", "all") for t in "ba"]
        found = summarise(rows)
        assert found == summarise(reversed(rows))
        assert [(row["test"], row["variant"]) for row in found] == [
            ("a", "all"),
            ("a", "reverb"),
            ("b", "all"),
            ("b", "reverb"),
        ]

    def test_refuses_a_seed_twice(self):
        with pytest.raises(UserError, match="twice"):
            summarise([self.row(), self.row()])


def test_collect_sorts(tmp_path):
    columns = ("seed", "variant", "test")
    write_table(tmp_path / "a.tsv", columns, [{"seed": 10, "variant": "clean", "test": "en"}])
    b = [{"seed": 2, "variant": variant, "test": "de"} for variant in ("reverb", "clean", "all")]
    write_table(tmp_path / "b.tsv", columns, b)
    collect([tmp_path / "a.tsv", tmp_path / "b.tsv"], columns, tmp_path / "one.tsv")
    collect([tmp_path / "b.tsv", tmp_path / "a.tsv"], columns, tmp_path / "two.tsv")
    assert (tmp_path / "one.tsv").read_bytes() == (tmp_path / "two.tsv").read_bytes()
    found = read_table(tmp_path / "one.tsv", columns)
    assert [(row["seed"], row["variant"]) for row in found] == [
        ("2", "all"),
        ("2", "clean"),
        ("2", "reverb"),
        ("10", "clean"),
    ]
