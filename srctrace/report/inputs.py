"""What a report is made from: paths, and what is read from them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from srctrace import fewshot, grid
from srctrace.calibration import CALIBRATION_COLUMNS, RELIABILITY_COLUMNS
from srctrace.errors import UserError
from srctrace.metrics import CLASSES_COLUMNS, CONFUSION_COLUMNS, METRICS_COLUMNS, SUMMARY_COLUMNS
from srctrace.openset.table import DETECTION_COLUMNS, OPENSET_COLUMNS
from srctrace.report.cells import Cell, Layout, Order, cells_of
from srctrace.report.curves import Curve
from srctrace.significance import COLUMNS as DIFFERENCES_COLUMNS
from srctrace.speakers.quality import COLUMNS as QUALITY_COLUMNS
from srctrace.tables import read_table

HISTORY = ("epoch", "train_loss", "dev_loss", "dev_macro_f1")
FINDINGS = ("check", "level", "finding")
MANIFEST = ("utterance", "language", "source", "speaker")
SPLIT = ("split", "utterance", "language", "source", "speaker", "seen_speaker")

Row = dict[str, str]


@dataclass(frozen=True)
class ReportInputs:
    """Paths of all that a report shows; `docs/files.md` says what each file holds.

    Where a table belongs to one protocol, condition or model, its path says which one: `{protocol}/baselines.tsv`,
    `{protocol}/findings.tsv`, `{protocol}/differences.tsv`, `{condition}.tsv` and
    `{system}/{train}/seed{seed}/history.tsv`, below any folder.
    """

    metrics: Path
    classes: Path
    confusion: Path
    summary: Path
    config: Path  # JSON: the config of the run, after Snakemake merged it
    manifest: Path
    histories: Sequence[Path] = ()
    baselines: Sequence[Path] = ()
    findings: Sequence[Path] = ()
    differences: Sequence[Path] = ()
    splits: Sequence[Path] = ()
    checkpoints: Sequence[Path] = ()  # what is known of each SSL front-end's checkpoint, `{frontend}.json`
    speakers: Path | None = None  # the quality of pseudo-speakers, where speakers are clusters
    openset: Path | None = None  # this and the next two: with protocol `out-of-set`
    detection: Path | None = None
    fewshot: Path | None = None
    calibration: Path | None = None
    reliability: Path | None = None
    examples: Path | None = None  # this and the next: what `srctrace illustrate` wrote
    projection: Path | None = None
    benchmarks: Path | None = None  # a folder of {rule}/….tsv, as Snakemake's `benchmark:` writes them


@dataclass(frozen=True)
class ReportData:
    """The tables behind a report, read when they are first needed.

    Everything read is of one corpus; a table that holds another one is refused.
    """

    inputs: ReportInputs

    @cached_property
    def config(self) -> dict:
        """The config of the run."""
        return read_json(self.inputs.config)

    @cached_property
    def order(self) -> Order:
        """The order in which the config names things; tables are sorted otherwise."""
        cells = self.layout.values()
        return Order.of(
            self.config["protocols"],
            self.config["systems"],
            [cell.train.name for cell in cells],
            [cell.column for cell in cells],
            self.config["corpus"]["languages"],
            self.config["corpus"]["sources"],
        )

    @cached_property
    def layout(self) -> Layout:
        """What the grid says of each cell, in the config's order.

        Raises:
            UserError: the config is not complete.
        """
        try:
            return {(cell.protocol, cell.train.name, cell.test.name): cell for cell in grid.cells(self.config)}
        except KeyError as error:
            raise UserError(f"{self.inputs.config}: no key {error}: expected a run's complete config") from None

    @cached_property
    def corpus(self) -> str:
        """Name of the corpus."""
        names = sorted({row["corpus"] for row in read_table(self.inputs.metrics, METRICS_COLUMNS)})
        if len(names) != 1:
            raise UserError(
                f"{self.inputs.metrics}: a report is about one corpus, but this table holds "
                f"{', '.join(names) or 'no row'}"
            )
        return names[0]

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells of the systems, in the config's order."""
        summary = read_table(self.inputs.summary, SUMMARY_COLUMNS)
        rows = self._rows(self.inputs.metrics, METRICS_COLUMNS)
        return self.order.sort_cells(cells_of(rows, summary, self.layout), self.layout)

    @cached_property
    def baselines(self) -> dict[str, list[Cell]]:
        """Protocol to the cells of its trivial baselines."""
        found = {
            path.parent.name: cells_of(self._rows(path, METRICS_COLUMNS), (), self.layout)
            for path in self.inputs.baselines
        }
        return {protocol: self.order.sort_cells(cells, self.layout) for protocol, cells in found.items()}

    @cached_property
    def findings(self) -> dict[str, list[Row]]:
        """Protocol to the findings of its audit."""
        return {path.parent.name: read_table(path, FINDINGS) for path in self.inputs.findings}

    @cached_property
    def differences(self) -> dict[str, list[Row]]:
        """Protocol to the tests of differences between its systems; none with fewer than three seeds."""
        return {path.parent.name: read_table(path, DIFFERENCES_COLUMNS) for path in self.inputs.differences}

    @cached_property
    def frontends(self) -> list[tuple[grid.SslFrontend, dict]]:
        """The SSL front-ends of the run, and what is known of their checkpoints."""
        known = {path.stem: read_json(path) for path in self.inputs.checkpoints}
        return [(frontend, known.get(name, {})) for name, frontend in grid.ssl_frontends(self.config).items()]

    @cached_property
    def speakers(self) -> list[Row]:
        """The quality of pseudo-speakers; none where speakers are no clusters."""
        return read_table(self.inputs.speakers, QUALITY_COLUMNS) if self.inputs.speakers else []

    @cached_property
    def confusion(self) -> dict[tuple[str, str], list[Row]]:
        """(protocol, system) to its rows of the confusion matrices, clean trials."""
        return _clean_by_system(self._rows(self.inputs.confusion, CONFUSION_COLUMNS))

    @cached_property
    def classes(self) -> dict[tuple[str, str], list[Row]]:
        """(protocol, system) to its rows of the metrics per class, clean trials."""
        return _clean_by_system(self._rows(self.inputs.classes, CLASSES_COLUMNS))

    @cached_property
    def curves(self) -> list[Curve]:
        """Training histories, in the config's order."""
        curves = []
        for path in self.inputs.histories:
            system, train, seed = path.parts[-4:-1]
            rows = [{column: _number(row[column]) for column in HISTORY} for row in read_table(path, HISTORY)]
            curves.append(Curve(system, train, seed.removeprefix("seed"), rows))
        rank = self.order.rank
        return sorted(curves, key=lambda curve: (rank(curve.system), rank(curve.train), rank(curve.seed)))

    @cached_property
    def manifest(self) -> list[Row]:
        """The corpus, one row per utterance."""
        return read_table(self.inputs.manifest, MANIFEST)

    @cached_property
    def splits(self) -> dict[str, dict[str, list[Row]]]:
        """Protocol to condition to the rows of its split list."""
        read = {path.stem: read_table(path, SPLIT) for path in self.inputs.splits}
        return {
            protocol: {name: read[name] for name in grid.conditions(self.config, [protocol]) if name in read}
            for protocol in self.config["protocols"]
        }

    @cached_property
    def openset(self) -> list[Row]:
        """How well each model tells unknown sources from known ones."""
        return self._optional(self.inputs.openset, OPENSET_COLUMNS)

    @cached_property
    def detection(self) -> list[Row]:
        """The points of detection error curves."""
        return self._optional(self.inputs.detection, DETECTION_COLUMNS)

    @cached_property
    def fewshot(self) -> list[Row]:
        """How well sources are told once some utterances of an unknown one are enrolled."""
        return self._optional(self.inputs.fewshot, fewshot.COLUMNS)

    @cached_property
    def calibration(self) -> list[Row]:
        """How far probabilities can be believed, before and after temperature scaling."""
        return self._optional(self.inputs.calibration, CALIBRATION_COLUMNS)

    @cached_property
    def reliability(self) -> list[Row]:
        """The bins behind it."""
        return self._optional(self.inputs.reliability, RELIABILITY_COLUMNS)

    @cached_property
    def examples(self) -> dict:
        """Trials with their sounds, as `examples.write_examples` chose them; nothing where none were."""
        return read_json(self.inputs.examples) if self.inputs.examples else {"cells": [], "sounds": {}}

    @cached_property
    def projection(self) -> dict:
        """Embeddings in two dimensions, as `projection.write_projection` made them."""
        return read_json(self.inputs.projection) if self.inputs.projection else {"models": []}

    @cached_property
    def conditions(self) -> dict[str, grid.Condition]:
        """Conditions of the run by name."""
        return grid.conditions(self.config)

    @cached_property
    def protocols(self) -> list[str]:
        """Protocols with results."""
        return self.order.unique(cell.protocol for cell in self.cells)

    def trains(self, protocol: str) -> list[str]:
        """Train conditions with results in a protocol."""
        return self.order.unique(cell.train for cell in self.cells if cell.protocol == protocol)

    def systems(self, protocol: str) -> list[str]:
        """Systems with results in a protocol."""
        return self.order.unique(cell.system for cell in self.cells if cell.protocol == protocol)

    def sources(self, protocol: str) -> list[str]:
        """Sources that have clean trials in a protocol."""
        return self.order.unique(
            row["source"] for (of, _), rows in self.classes.items() if of == protocol for row in rows
        )

    def languages(self, condition: str) -> tuple[str, ...]:
        """The languages of a condition.

        Raises:
            UserError: the config has no such condition.
        """
        if condition not in self.conditions:
            raise UserError(f"{self.inputs.config}: no condition {condition!r}, of which there are results")
        return self.conditions[condition].languages

    def crossing(self, train: str, test: str) -> str:
        """What the test language is to a train condition, in the words of protocol `mono`."""
        languages = self.languages(train)
        if test not in languages:
            return "cross-lingual"
        return "mono-lingual" if len(languages) == 1 else "one of several languages"

    def group(self, row: Row) -> str:
        """The group of cells that a row of a table belongs to."""
        place = self.layout.get((row["protocol"], row["train"], row["test"]))
        if place is None:
            raise UserError(
                f"{row['system']} has results of {row['protocol']}, {row['train']} → {row['test']}, which the config "
                "does not have"
            )
        return place.group

    def _optional(self, path: Path | None, columns: Sequence[str]) -> list[Row]:
        return self._rows(path, columns) if path else []

    def _rows(self, path: Path, columns: Sequence[str]) -> list[Row]:
        rows = read_table(path, columns)
        others = {row["corpus"] for row in rows} - {self.corpus}
        if others:
            raise UserError(
                f"{path}: holds the corpus {', '.join(sorted(others))}, but {self.inputs.metrics} {self.corpus}"
            )
        return rows


def read_json(path: Path) -> dict:
    """An object in a file.

    Raises:
        UserError: the file is missing, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object")
    return content


def _clean_by_system(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["variant"] == "clean":
            found.setdefault((row["protocol"], row["system"]), []).append(row)
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
