"""A picture of one file: what the models were given, and below it what they say of each segment."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from srctrace.audio import SAMPLE_RATE
from srctrace.files import atomic_path
from srctrace.frontends.lfcc import lfcc
from srctrace.report.canvas import MUTED, STYLE
from srctrace.tracing.features import lfcc_options
from srctrace.tracing.member import Member
from srctrace.tracing.result import UNKNOWN, Stretch, Trace, runs
from srctrace.tracing.segments import segments
from srctrace.tracing.text import clock, shown

COLUMNS = 1200  # of the picture: of a long file, each is the mean over a stretch of it
FRAME, HOP = 400, 160  # samples, of the spectrogram
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
"""M. Okabe and K. Ito, "Color universal design", 2008: told apart by the colour-blind too."""
OTHERS = "#999999"
HATCH = "////"
BARS = 300


def plot(trace: Trace, member: Member, out: str | os.PathLike) -> None:
    """Draw a traced file: LFCCs as the model has them, or the spectrogram for an SSL model, over its segments.

    The height of a segment's bar is the probability of its source (1 for an enrolled one), the colour says which, and
    those of unknown source are hatched. Of a file of more than `BARS` segments, neighbours share a bar: it shows what
    most of them say. The file is read once more, in constant memory.

    Args:
        out: `.png`, `.svg` or `.pdf`.
    """
    view = _view(member)
    image = _image(trace, member, view.draw)
    with rc_context({**STYLE, "font.size": 9, "hatch.linewidth": 0.8}):
        figure = Figure(figsize=(9, 5), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        figure.suptitle(f"{shown(Path(trace.file).name)}: {_title(trace)}", fontsize=11)
        drawn = above.imshow(
            image,
            origin="lower",
            aspect="auto",
            extent=(0, trace.seconds, 0, view.top),
            interpolation="nearest",
            **view.colors,
        )
        figure.colorbar(drawn, ax=above, label=view.unit, pad=0.01)
        above.set_ylabel(view.rows)
        _bars(below, trace)
        figure.legend(handles=_legend(trace), loc="outside lower center", ncols=4, frameon=False)
        with atomic_path(out) as temporary:
            figure.savefig(temporary, dpi=150)


def _title(trace: Trace) -> str:
    if trace.verdict is None:
        return f"{trace.source}, {trace.probability:.0%} (no verdict)"
    if trace.verdict == UNKNOWN:
        return trace.verdict
    return f"{trace.verdict} {trace.source}" + (f", {trace.probability:.0%}" if trace.probability is not None else "")


@dataclass(frozen=True)
class _View:
    """How segments are drawn."""

    draw: Callable[[np.ndarray], np.ndarray]  # int16 (samples,) to (rows, frames)
    top: float  # of the rows' axis
    rows: str  # its label
    unit: str  # label of the colours
    colors: dict


def _view(member: Member) -> _View:
    made = member.description.frontend
    if made["frontend"] != "lfcc":
        colors = {"cmap": "cividis", "vmin": -90, "vmax": -10}
        return _View(_spectrogram, SAMPLE_RATE / 2000, "frequency in kHz", "level in dB of full scale", colors)
    options = lfcc_options(made)
    mean, deviation = member.model.mean.cpu().numpy(), member.model.deviation.cpu().numpy()

    def draw(samples: np.ndarray) -> np.ndarray:
        return (lfcc(samples[np.newaxis], options)[0] - mean) / deviation

    colors = {"cmap": "RdBu_r", "vmin": -3, "vmax": 3}
    return _View(draw, options.n_lfcc, "LFCC, number of the coefficient", "deviations from the training mean", colors)


def _image(trace: Trace, member: Member, draw: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`(rows, columns)` over the whole file; what is silent is NaN."""
    length = member.description.seconds
    total = count = np.zeros(0)
    for segment in segments(trace.file, length):
        features = draw(segment.samples)
        if not total.size:
            columns = max(1, min(COLUMNS, round(trace.seconds / length * features.shape[1])))
            total, count = np.zeros((len(features), columns)), np.zeros(columns)
        times = segment.start + (np.arange(features.shape[1]) + 0.5) / features.shape[1] * length
        wanted = times < (segment.start if segment.silent else trace.seconds)  # a short file is repeated
        places = np.minimum((times[wanted] / trace.seconds * columns).astype(int), columns - 1)
        np.add.at(total.T, places, features[:, wanted].T)
        np.add.at(count, places, 1)
    with np.errstate(invalid="ignore"):
        return total / count


def _spectrogram(samples: np.ndarray) -> np.ndarray:
    """Levels in dB of full scale: `(FRAME // 2 + 1, frames)`. A sine of full scale has 0."""
    window = np.hanning(FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] / 32768
    amplitudes = np.abs(np.fft.rfft(frames * window)) * (2 / window.sum())
    return 20 * np.log10(amplitudes.T + 1e-6)


def _bars(axes: Axes, trace: Trace) -> None:
    colors = _colors(trace)
    groups = _groups(trace.segments)
    gap = 0.4 if len(groups) <= 100 else 0.0
    end = 0.0
    for group in groups:
        (verdict, source), _ = Counter((one.verdict, one.source) for one in group).most_common(1)[0]
        likely = [one.probability for one in group if (one.verdict, one.source) == (verdict, source)]
        height = 1.0 if None in likely else float(np.mean(likely))
        style = {"facecolor": colors[source], "edgecolor": "white", "linewidth": gap}
        if verdict == UNKNOWN:
            style |= {"facecolor": "white", "edgecolor": colors[source], "hatch": HATCH}
        start = max(end, group[0].start)  # the last segment may overlap the one before
        end = group[-1].end
        axes.bar(start, height, end - start, align="edge", **style)
    axes.set_xlim(0, trace.seconds)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("probability")
    if trace.seconds < 120:
        axes.set_xlabel("time in s")
    else:
        axes.set_xlabel("time in min:s")
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 1.5, 3, 6, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)[:-2]))


def _groups(found: Sequence[Stretch]) -> list[Sequence[Stretch]]:
    """Neighbours that share a bar: at most `BARS` groups, and one more for each gap, which no bar is to hide."""
    size = -(-len(found) // BARS)
    return [run[start : start + size] for run in runs(found) for start in range(0, len(run), size)]


def _colors(trace: Trace) -> dict[str, str]:
    """The sources of the segments, the most frequent first: those beyond the colours share one."""
    counts = Counter(one.source for one in trace.segments).most_common()
    return {source: COLORS[place] if place < len(COLORS) else OTHERS for place, (source, _) in enumerate(counts)}


def _legend(trace: Trace) -> list[Patch]:
    handles, others = [], []
    for source, color in _colors(trace).items():
        if color == OTHERS:
            others.append(source)
        else:
            handles.append(Patch(color=color, label=source))
    if others:
        handles.append(Patch(color=OTHERS, label=others[0] if len(others) == 1 else f"{len(others)} others"))
    if any(one.verdict == UNKNOWN for one in trace.segments):
        label = "unknown; the colour is that of the nearest source"
        handles.append(Patch(facecolor="white", edgecolor=MUTED, hatch=HATCH, label=label))
    return handles
