"""What a report is made from: paths, and what is read from them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from srctrace.errors import UserError
from srctrace.metrics import CLASSES_COLUMNS, CONFUSION_COLUMNS, METRICS_COLUMNS, SUMMARY_COLUMNS
from srctrace.report.cells import Cell, Order, cells_of
from srctrace.report.curves import Curve
from srctrace.tables import read_table

HISTORY = ("epoch", "train_loss", "dev_loss", "dev_macro_f1")
FINDINGS = ("check", "level", "finding")
MANIFEST = ("utterance", "language", "source", "speaker")
SPLIT = ("split", "utterance", "language", "source", "speaker", "seen_speaker")

Row = dict[str, str]


@dataclass(frozen=True)
class ReportInputs:
    """Paths of all that a report shows; `docs/files.md` says what each file holds.

    Where a table belongs to one protocol or one model, its path says which one:
    `{protocol}/audit/baselines.tsv`, `{protocol}/audit/findings.tsv`, `{protocol}/splits/{condition}.tsv` and
    `{protocol}/{system}/{train}/seed{seed}/history.tsv`, below any folder.
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
    splits: Sequence[Path] = ()
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
        try:
            config = json.loads(self.inputs.config.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{self.inputs.config}: no such config") from None
        except ValueError as error:
            raise UserError(f"{self.inputs.config}: not JSON ({error})") from None
        if not isinstance(config, dict):
            raise UserError(f"{self.inputs.config}: expected an object, the run's config")
        return config

    @cached_property
    def order(self) -> Order:
        """The order in which the config names things; tables are sorted otherwise."""
        corpus = self.config.get("corpus")
        corpus = corpus if isinstance(corpus, Mapping) else {}
        return Order.of(
            self.config.get("protocols"), self.config.get("systems"), corpus.get("languages"), corpus.get("sources")
        )

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
        return self.order.sort_cells(cells_of(self._rows(self.inputs.metrics, METRICS_COLUMNS), summary))

    @cached_property
    def baselines(self) -> dict[str, list[Cell]]:
        """Protocol to the cells of its trivial baselines."""
        return {
            _protocol_of(path): self.order.sort_cells(cells_of(self._rows(path, METRICS_COLUMNS), ()))
            for path in self.inputs.baselines
        }

    @cached_property
    def findings(self) -> dict[str, list[Row]]:
        """Protocol to the findings of its audit."""
        return {_protocol_of(path): read_table(path, FINDINGS) for path in self.inputs.findings}

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
            protocol, system, train, seed = path.parts[-5:-1]
            rows = [{column: _number(row[column]) for column in HISTORY} for row in read_table(path, HISTORY)]
            curves.append(Curve(protocol, system, train, seed.removeprefix("seed"), rows))
        rank = self.order.rank
        return sorted(curves, key=lambda curve: (rank(curve.system), rank(curve.train), rank(curve.seed)))

    @cached_property
    def manifest(self) -> list[Row]:
        """The corpus, one row per utterance."""
        return read_table(self.inputs.manifest, MANIFEST)

    @cached_property
    def splits(self) -> dict[str, dict[str, list[Row]]]:
        """Protocol to condition to the rows of its split list."""
        splits: dict[str, dict[str, list[Row]]] = {}
        for path in sorted(self.inputs.splits, key=lambda path: self.order.rank(path.stem)):
            splits.setdefault(_protocol_of(path), {})[path.stem] = read_table(path, SPLIT)
        return splits

    @cached_property
    def protocols(self) -> list[str]:
        """Protocols with results."""
        return self.order.unique(cell.protocol for cell in self.cells)

    def systems(self, protocol: str) -> list[str]:
        """Systems with results in a protocol."""
        return self.order.unique(cell.system for cell in self.cells if cell.protocol == protocol)

    def sources(self, protocol: str) -> list[str]:
        """Sources that have clean trials in a protocol."""
        return self.order.unique(
            row["source"] for (of, _), rows in self.classes.items() if of == protocol for row in rows
        )

    def _rows(self, path: Path, columns: Sequence[str]) -> list[Row]:
        rows = read_table(path, columns)
        others = {row["corpus"] for row in rows} - {self.corpus}
        if others:
            raise UserError(
                f"{path}: holds the corpus {', '.join(sorted(others))}, but {self.inputs.metrics} {self.corpus}"
            )
        return rows


def _clean_by_system(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["variant"] == "clean":
            found.setdefault((row["protocol"], row["system"]), []).append(row)
    return found


def _protocol_of(path: Path) -> str:
    return path.parts[-3]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
