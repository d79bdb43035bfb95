"""The enumeration of experiments, counted by hand."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from srctrace import grid
from srctrace.config import complete
from srctrace.errors import UserError
from srctrace.grid import Condition

ROOT = Path(__file__).parents[1]
LANGUAGES = ["en", "de", "fr", "it", "pl", "ru"]
FAMILIES = {"germanic": ["en", "de"], "romance": ["fr", "it"], "slavic": ["pl", "ru"]}
EVERY = ["mono", "family", "unseen-language", "unseen-speaker", "pooled", "out-of-set"]


def config(**changed) -> dict:
    base = yaml.safe_load((ROOT / "config.yaml").read_text())
    return complete(
        base | {"families": FAMILIES, "protocols": EVERY} | changed, ROOT / "workflow/schemas/config.schema.yaml"
    )


def test_cells_of_the_paper():
    cells = grid.cells(config())
    assert Counter(cell.protocol for cell in cells) == {
        "mono": 36,
        "family": 9,
        "unseen-language": 12,
        "unseen-speaker": 24,
        "pooled": 7,
    }
    assert Counter(cell.group for cell in cells if cell.protocol in ("mono", "family")) == {
        "mono-lingual": 6,
        "cross-lingual": 30,
        "same family": 3,
        "other family": 6,
    }


def test_models_are_shared_between_protocols():
    models = grid.models(config())
    assert len(models) == len(set(models)) == 3 * (6 + 3 + 6 + 1)
    assert grid.tests(config())["without-en"] == (
        "without-en",
        "en",
        "without-en-seen-speakers",
        "without-en-unseen-speakers",
        "en-seen-speakers",
        "en-unseen-speakers",
    )
    assert [model.train for model in grid.models(config(protocols=["unseen-speaker"]))[:6]] == [
        f"without-{language}" for language in LANGUAGES
    ]


def test_what_is_left_out_is_not_trained_on():
    for cell in grid.cells(config(protocols=["unseen-language", "unseen-speaker"])):
        left_out = cell.train.name.removeprefix("without-")
        assert set(cell.train.languages) == set(LANGUAGES) - {left_out}
        assert cell.test.languages in ((left_out,), cell.train.languages)
        assert cell.test.seen_by in ((), cell.train.languages)
        assert cell.column.startswith("unseen language" if cell.test.languages == (left_out,) else "seen languages")


def test_without_ids_across_languages_nobody_is_seen_in_the_language_left_out():
    cells = grid.cells(config(protocols=["unseen-speaker"], speakers={"across_languages": False}))
    assert Counter(cell.column for cell in cells) == {
        "seen languages, seen speakers": 6,
        "seen languages, unseen speakers": 6,
        "unseen language, unseen speakers": 6,
    }
    assert {cell.test.name for cell in cells if cell.column.startswith("unseen")} == set(LANGUAGES)


def test_out_of_set_has_no_cells_of_its_own():
    found = grid.conditions(config(protocols=["mono", "out-of-set"]))
    assert [name for name in found if found[name].unknown] == [f"{name}-out-of-set" for name in (*LANGUAGES, "all")]
    assert grid.cells(config(protocols=["mono", "out-of-set"])) == grid.cells(config(protocols=["mono"]))
    with pytest.raises(grid.ConfigError, match="out-of-set is about the models of others"):
        config(protocols=["out-of-set"])


@pytest.mark.parametrize("name", ["en", "without-en-seen-speakers", "en-unseen-speakers", "romance", "all-out-of-set"])
def test_conditions_are_written_as_they_are_read(name):
    condition = grid.conditions(config())[name]
    assert Condition.parse(str(condition)) == condition


@pytest.mark.parametrize("text", ["en", "=en", "en=", "en=en:seen-by=", "en=en:heard-by=de", "en=,:out-of-set"])
def test_other_conditions_are_refused(text):
    with pytest.raises(UserError, match="expected NAME=LANGUAGE"):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"families": {}}, "families: missing"),
        ({"families": {"nordic": ["sv"]}}, "families.nordic: 'sv' is not among corpus.languages: en, de"),
        ({"families": {"en": ["en", "de"]}}, r"families: 'en' would name two conditions \(en and en, de\)"),
        ({"families": {"no/rdic": ["en"]}}, "no/rdic"),
    ],
)
def test_wrong_families_are_named(changed, message):
    with pytest.raises(grid.ConfigError, match=message):
        config(**changed)


def test_one_language_leaves_none_out():
    corpus = yaml.safe_load((ROOT / "config.yaml").read_text())["corpus"] | {"languages": ["en"]}
    with pytest.raises(grid.ConfigError, match="unseen-language leaves a language out"):
        config(corpus=corpus, families={}, protocols=["unseen-language"])
    assert [
        cell.test.name for cell in grid.cells(config(corpus=corpus, families={}, protocols=["mono", "pooled"]))
    ] == ["en", "all"]


def test_a_system_by_another_recipe():
    """The name of a system may end in a recipe, which replaces what `train` says; models are apart by their names."""
    chosen = config(systems=["lfcc-resnet18", "lfcc-resnet18+aam", "lfcc-resnet18+mine"], recipes={"mine": {"lr": 0.5}})
    train = grid.conditions(chosen)["en"]
    plain, aam, mine = (grid.training_of(chosen, system, train) for system in chosen["systems"])
    assert aam == plain | {"loss": "aam"}
    assert mine == plain | {"lr": 0.5}
    assert {grid.split_system(system) for system in chosen["systems"]} == {("lfcc", "resnet18")}
    with pytest.raises(UserError, match=r"'lfcc-resnet18\+other': unknown recipe 'other'; known: .*aam"):
        config(systems=["lfcc-resnet18+other"])


def test_the_published_recipe_by_the_name():
    chosen = config(systems=["wav2vec2-xls-r-300m-aasist", "wav2vec2-xls-r-300m-aasist+published"])
    train = grid.conditions(chosen)["en"]
    ours, published = (grid.training_of(chosen, system, train) for system in chosen["systems"])
    assert (ours["ssl_lr"], ours["warmup"], ours["freeze_encoder"]) == (0.00002, 0.1, True)
    assert (published["ssl_lr"], published["warmup"], published["freeze_encoder"]) == (0.0005, 0, False)


def test_a_recipe_is_laid_over_that_of_the_front_end():
    chosen = config(systems=["wav2vec2-xls-r-300m-aasist", "wav2vec2-xls-r-300m-aasist+aam"])
    plain, aam = (grid.training_of(chosen, system, grid.conditions(chosen)["en"]) for system in chosen["systems"])
    assert aam == plain | {"loss": "aam"}
    assert plain["ssl_lr"] == 0.00002


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"systems": ["wav2vec2-xls-r-300m-aasist+outliers"]}, "is given waveforms: set outliers to 0"),
        ({"systems": ["lfcc-resnet18+"]}, "unknown recipe ''"),
        ({"variants": ["noise"], "train": {"variants": ["noise"]}}, "variants: clean is missing"),
        ({"protocols": ["mono", "out-of-set"], "corpus": {"out_of_set": []}}, "needs unknown sources"),
        ({"corpus": {"sources": ["formant", "bona-fide"]}}, "'bona-fide' has a meaning of its own"),
    ],
)
def test_what_would_fail_hours_later_is_refused(changed, message):
    base = yaml.safe_load((ROOT / "config.yaml").read_text())
    with pytest.raises(grid.ConfigError, match=message):
        config(**{key: base[key] | value if isinstance(value, dict) else value for key, value in changed.items()})
