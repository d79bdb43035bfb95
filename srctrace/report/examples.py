"""Examples behind cells: some of the trials that a model got wrong, with their sounds."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from srctrace import grid
from srctrace.errors import UserError
from srctrace.files import atomic_path
from srctrace.metrics import SCORES_COLUMNS
from srctrace.report.inputs import MANIFEST
from srctrace.report.names import opened
from srctrace.report.sound import audio_address, spectrogram_address
from srctrace.rng import uniforms
from srctrace.store import Store, open_store
from srctrace.tables import read_table

PER_CELL = 2  # trials with their sounds; all are counted
BUDGET = 6_000_000  # characters of all sounds and pictures: the page is to be sent by mail


def write_examples(
    config: Mapping, results: str | os.PathLike, manifest: str | os.PathLike, out: str | os.PathLike
) -> None:
    """Write what the report shows of single trials, as JSON.

    `cells`: of every system and every cell that opens in the page, first seed: `n_trials` and `n_wrong` of its clean
    trials, and of a sample of the wrong ones, `wrong`: utterance, predicted source and its probability. `sounds`: of
    each utterance in a sample its audio and spectrogram as data: addresses, language, source and speaker; once,
    however many cells show it.

    Utterances are sampled in one order drawn by chance, the same for all cells, one of each source before there are two
    of any. A sound that would exceed the budget is left out, and its trials with it; every cell has its first before
    any has its second.

    Args:
        config: of the run, complete.
        results: the corpus's folder: `models/`, `waves/`.

    Raises:
        UserError: a file is missing or damaged, or a trial is of an utterance that is not in the manifest.
    """
    results = Path(results)
    cells = list(_cells(config, results))
    sounds = _Sounds(results / "waves", {row["utterance"]: row for row in read_table(manifest, MANIFEST)})
    for turn in zip_longest(*(cell["wrong"] for cell in cells)):
        for cell, trial in zip(cells, turn, strict=True):
            if trial and not sounds.add(trial["utterance"]):
                cell["wrong"] = [other for other in cell["wrong"] if other is not trial]
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps({"cells": cells, "sounds": sounds.found}, indent=1, ensure_ascii=False))


def _cells(config: Mapping, results: Path) -> Iterator[dict]:
    seed = config["seeds"][0]
    read: dict[Path, dict] = {}  # protocols may share models and tests
    for cell in opened(config):
        for system in config["systems"]:
            folder = results / "models" / grid.Model(system, cell.train.name, seed).folder
            path = folder / "scores" / f"{cell.test.name}.tsv"
            if path not in read:
                read[path] = _errors(path)
            names = {"protocol": cell.protocol, "system": system, "train": cell.train.name, "test": cell.test.name}
            yield names | {"seed": seed} | read[path]


def _errors(path: Path) -> dict:
    """The clean trials of a scores table that are wrong: how many, and a sample."""
    trials = [row for row in read_table(path, SCORES_COLUMNS) if row["variant"] == "clean"]
    wrong = [row for row in trials if row["predicted"] != row["label"]]
    wrong.sort(key=lambda row: (uniforms(1, "examples", row["utterance"]), row["utterance"]))
    before = Counter()  # of each source, how many stand earlier
    turns = []
    for row in wrong:
        turns.append(before[row["label"]])
        before[row["label"]] += 1
    in_turn = [row for _, row in sorted(zip(turns, wrong, strict=True), key=lambda pair: pair[0])]
    sample = [
        {
            "utterance": row["utterance"],
            "predicted": row["predicted"],
            "probability": round(float(row[f"p_{row['predicted']}"]), 4),
        }
        for row in in_turn[:PER_CELL]
    ]
    return {"n_trials": len(trials), "n_wrong": len(wrong), "wrong": sample}


class _Sounds:
    """The utterances to be heard, up to the budget."""

    def __init__(self, waves: Path, manifest: Mapping[str, Mapping[str, str]]):
        self.waves, self.manifest = waves, manifest
        self.found: dict[str, dict] = {}
        self.left = BUDGET
        self.stores: dict[str, tuple[Store, dict[str, int]]] = {}

    def add(self, utterance: str) -> bool:
        """Have this one among them; false if there is no room."""
        if utterance in self.found:
            return True
        row = self.manifest.get(utterance)
        if row is None:
            raise UserError(f"{utterance!r} was scored, but is not in the manifest: run the workflow again")
        samples = self._samples(row["language"], utterance)
        sound = {"audio": audio_address(samples), "spectrogram": spectrogram_address(samples)}
        size = sum(map(len, sound.values()))
        if size > self.left:
            return False
        self.left -= size
        self.found[utterance] = {name: row[name] for name in ("language", "source", "speaker")} | sound
        return True

    def _samples(self, language: str, utterance: str):
        if language not in self.stores:
            store = open_store(self.waves / f"{language}.npy", ["utterance"])
            self.stores[language] = store, {row["utterance"]: place for place, row in enumerate(store.rows)}
        store, places = self.stores[language]
        if utterance not in places:
            raise UserError(f"{store.path}: {utterance!r} is not in it: delete the file and run again")
        return store.record(places[utterance])


def shown(cell: Mapping, sounds: Mapping[str, Mapping]) -> Sequence[dict]:
    """The sample of a cell, each trial with what is known of its utterance."""
    return [trial | sounds[trial["utterance"]] for trial in cell["wrong"]]
