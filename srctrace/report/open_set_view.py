"""What the page shows of sources that no model was trained on."""

from pathlib import Path

from srctrace import grid
from srctrace.report.answers import has_real_speech
from srctrace.report.canvas import percent
from srctrace.report.embed import embed
from srctrace.report.fewshot import fewshot_table
from srctrace.report.inputs import ReportData
from srctrace.report.names import protocol_figure
from srctrace.report.openset import by_language, by_method, by_unknown, crossings, leading_method


def open_set_view(data: ReportData, figures: Path) -> dict:
    """What the template shows."""
    method = leading_method(data)
    lines = by_method(data)
    few = fewshot_table(data)
    return {
        "name": grid.OUT_OF_SET,
        "method": method,
        "methods": list(dict.fromkeys(line.name for line in lines)),
        "crossings": crossings(data),
        "by_method": lines,
        "by_unknown": by_unknown(data),
        "by_language": by_language(data),
        "real_speech": has_real_speech(data),
        "fewshot": few,
        "shots": sorted({shots for line in few for shots in line.shots}),
        "methods_figure": embed(
            figures / protocol_figure(grid.OUT_OF_SET, "open-set"),
            "AUROC of each method and system. "
            + " ".join(_spoken(line.system, line.rates) for line in lines if line.name == method),
            "Mean AUROC of each method; the dashed line is chance.",
        ),
        "detection_figure": embed(
            figures / protocol_figure(grid.OUT_OF_SET, "detection"),
            "Detection error curves on normal-deviate axes. The table has equal error rates.",
            f"Errors of the method {method} at every threshold: lower left is better. The axes are stretched so that "
            "normally distributed scores give a straight line. Each curve is the mean over models and test languages.",
        ),
        "fewshot_figure": embed(
            figures / protocol_figure(grid.OUT_OF_SET, "few-shot"),
            "Accuracy by number of utterances enrolled. The table has the figures.",
            "Mean accuracy over models, test languages, unknown sources and draws of the enrolled utterances.",
        )
        if few
        else None,
    }


def _spoken(system: str, rates: dict) -> str:
    words = [f"{kind} {percent(rate['auroc'])}" for kind, rate in rates.items() if rate["auroc"] is not None]
    return f"{system}: {', '.join(words) or 'none'}."
