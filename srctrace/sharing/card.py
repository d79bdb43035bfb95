"""The card of a shared model: what it is, what was measured of it, and what it cannot do.

The form is that of the Hugging Face hub: YAML between two lines of dashes, then Markdown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from srctrace import __version__
from srctrace.checkpoint import WEIGHTS, Description
from srctrace.decision import Decision
from srctrace.download.catalogue import CATALOGUE
from srctrace.frontends.catalogue import find
from srctrace.grid import BONA_FIDE, LFCC
from srctrace.openset.table import ALL
from srctrace.provenance import sha256
from srctrace.sharing.contents import CARD, ENROLLED
from srctrace.sharing.measured import Measured

TEMPLATE = "card.md.j2"
BUILTIN = "builtin"  # the corpus that srctrace speaks itself
NO_RECIPE = ("corpus", "languages", "condition", "seed", "threads", "device", "reached", "variants")

Row = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class Figure:
    """Macro-F1 of a model on one test condition: as text, in percent with an interval."""

    protocol: str
    test: str
    trained: bool  # on the same condition
    n_trials: int
    clean: str
    every: str  # over all variants
    worst: str  # the worst variant, and its name


@dataclass(frozen=True)
class Summary:
    """What a protocol's figures amount to, on clean audio where that was scored."""

    protocol: str
    variant: str
    trained: str  # on what it was trained on; empty if not tested
    others: str  # the mean of other conditions; empty if there are none
    n_others: int
    lowest: str


def name_of(description: Description) -> str:
    """A name for a model, fit for a folder."""
    training = description.training
    return f"{description.system}-{training['condition']}-seed{training['seed']}"


def write_card(
    folder: Path,
    description: Description,
    decision: Decision | None,
    measured: Measured,
    licence: str,
    address: str,
    onnx: Mapping[str, str],
) -> None:
    """Write the card of the model in `folder`, where all else of it is already.

    Args:
        decision: the model's, if it has one.
        licence: of the weights, by its id on the hub.
        address: the model's name on the hub; empty where it is given as a folder.
        onnx: metadata of its ONNX file, if it has one.
    """
    metrics = measured.get("metrics", [])
    training, made = description.training, description.ssl or description.frontend
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(TEMPLATE).render(
        front=_front(description, metrics, licence),
        name=name_of(description),
        description=description,
        training=training,
        corpus=training["corpus"] or "not named",
        is_builtin=training["corpus"] == BUILTIN,
        corpus_licence=_licence_of_corpus(training["corpus"]),
        recipe={key: value for key, value in training.items() if key not in NO_RECIPE},
        is_lfcc=made.get("frontend") == LFCC,
        made=made,
        checkpoint_licence=_licence_of_checkpoint(made.get("checkpoint", "")),
        figures=_figures(metrics),
        summaries=_summaries(metrics),
        chance=f"{100 / len(description.sources):.1f}",
        openset=_openset(measured.get("openset", []), decision),
        calibration=_calibration(measured.get("calibration", [])),
        decision=decision,
        real_speech=_real_speech(decision),
        enrolled=sorted(path.stem for path in (folder / ENROLLED).glob("*.safetensors")),
        onnx=onnx,
        model=address or "FOLDER",
        licence=licence,
        weights_sha256=sha256(folder / WEIGHTS),
        exporter=__version__,
    )
    (folder / CARD).write_text(text, encoding="utf-8")


def _front(description: Description, metrics: Sequence[Row], licence: str) -> str:
    """The YAML, without its dashes."""
    made = description.ssl or description.frontend
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Source tracing of speech deepfakes",
            dataset_type=str(row["corpus"]),
            dataset_name=f"{row['corpus']}, {row['test']} ({row['protocol']})",
            dataset_config=str(row["test"]),
            dataset_split="eval",
            metric_type="f1",
            metric_name=f"macro-F1, {row['variant']}",
            metric_value=row["macro_f1"],
        )
        for row in metrics
        if row["variant"] in ("clean", "all") and row["macro_f1"] is not None
    ]
    data = ModelCardData(
        language=description.training["languages"],
        license=licence,
        library_name="srctrace",
        pipeline_tag="audio-classification",
        tags=["source-tracing", "audio-deepfake", "anti-spoofing", "speech", description.backend],
        base_model=made["checkpoint"] if made.get("revision") else None,
        metrics=["f1"],
        **({"model_name": name_of(description), "eval_results": results} if results else {}),
    )
    return data.to_yaml().strip()


def _figures(metrics: Sequence[Row]) -> list[Figure]:
    return [_figure(protocol, test, rows) for (protocol, test), rows in _by_test(metrics).items()]


def _figure(protocol: str, test: str, rows: Mapping[str, Row]) -> Figure:
    variants = [row for variant, row in rows.items() if variant not in ("all", "clean")]
    worst = min(variants, key=lambda row: row["macro_f1"], default=None)
    any_row = next(iter(rows.values()))
    return Figure(
        protocol=protocol,
        test=test,
        trained=test == any_row["train"],
        n_trials=max(row["n_trials"] for row in rows.values()),
        clean=_interval(rows.get("clean")),
        every=_interval(rows.get("all")),
        worst=f"{worst['variant']}: {_interval(worst)}" if worst else "",
    )


def _summaries(metrics: Sequence[Row]) -> list[Summary]:
    found: dict[str, list[Row]] = {}
    for (protocol, _), rows in _by_test(metrics).items():
        found.setdefault(protocol, []).append(rows.get("clean") or next(iter(rows.values())))
    return [_summary(protocol, rows) for protocol, rows in found.items()]


def _summary(protocol: str, rows: Sequence[Row]) -> Summary:
    own = next((row for row in rows if row["test"] == row["train"]), None)
    others = [row for row in rows if row is not own]
    lowest = min(others, key=lambda row: row["macro_f1"], default=None)
    return Summary(
        protocol=protocol,
        variant=str(rows[0]["variant"]),
        trained=_interval(own),
        others=f"{100 * fmean(row['macro_f1'] for row in others):.1f} %" if others else "",
        n_others=len(others),
        lowest=f"{lowest['test']}: {_interval(lowest)}" if lowest else "",
    )


def _by_test(metrics: Sequence[Row]) -> dict[tuple[str, str], dict[str, Row]]:
    """Rows with a figure by variant, by protocol and test condition."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in metrics:
        if row["macro_f1"] is not None:
            found.setdefault((str(row["protocol"]), str(row["test"])), {})[str(row["variant"])] = row
    return found


def _interval(row: Row | None) -> str:
    if row is None:
        return ""
    value, low, high = (100 * row[column] for column in ("macro_f1", "macro_f1_low", "macro_f1_high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def _openset(rows: Sequence[Row], decision: Decision | None) -> list[dict[str, str]]:
    """How the model's own decision does on sources that it does not know, all together, and on real speech."""
    return [
        {
            "test": str(row["test"]),
            "unknown": f"{row['unknown']} ({row['n_unknown']} trials)",
            "auroc": f"{row['auroc']:.3f} ({row['auroc_low']:.3f} to {row['auroc_high']:.3f})",
            "false_acceptance": _percent(row["false_acceptance"]),
            "false_rejection": _percent(row["false_rejection"]),
        }
        for row in rows
        if decision and row["method"] == decision.method and row["unknown"] in (ALL, BONA_FIDE)
    ]


def _real_speech(decision: Decision | None) -> list[dict[str, str]]:
    """What the decision makes of real speech in the languages of the training, and in others, where that was tested."""
    places = (("trained_languages", "the languages of its training"), ("other_languages", "other languages"))
    found = [(decision.facts[f"bona_fide_{place}"], where) for place, where in places] if decision else []
    return [
        {"where": where, "languages": ", ".join(means["languages"]), "share": _percent(means["false_acceptance"])}
        for means, where in found
        if means
    ]


def _calibration(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Expected calibration errors on clean audio, before and after the logits are divided by the temperature."""
    return [
        {
            **{key: str(row[key]) for key in ("protocol", "test")},
            **{stage: _percent(row[f"ece_{stage}"]) for stage in ("before", "after")},
        }
        for row in rows
        if row["variant"] == "clean"
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _licence_of_corpus(corpus: str) -> str:
    if corpus == BUILTIN:
        return "speech that srctrace makes itself"
    return CATALOGUE[corpus].licence if corpus in CATALOGUE else ""


def _licence_of_checkpoint(checkpoint: str) -> str:
    known = find(checkpoint)
    return known.licence if known else ""
