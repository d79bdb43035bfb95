"""Files in, traces out: one model, or the mean of several."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import log_softmax, softmax

from srctrace import fewshot
from srctrace.device import memory_advice
from srctrace.tracing.basis import basis_of
from srctrace.tracing.enrolled import read_enrolled, winner
from srctrace.tracing.member import Member, load_members
from srctrace.tracing.reading import read_ahead, usable_cores
from srctrace.tracing.result import ENROLLED, KNOWN, UNKNOWN, Finding, Stretch, Trace, unread
from srctrace.tracing.segments import Segment, find_audio

BATCH = 16  # segments: twice as many are no faster, and take twice the memory


@dataclass(frozen=True)
class _Evidence:
    """Of segments, or the mean over them."""

    logs: np.ndarray  # (…, sources) logarithms of probabilities, but for a constant
    scores: np.ndarray  # (…); nan where there is no decision
    known: np.ndarray  # (…) similarity to the nearest source that the models were trained on
    enrolled: np.ndarray  # (…, enrolled) similarities

    def __getitem__(self, index) -> "_Evidence":
        return _Evidence(self.logs[index], self.scores[index], self.known[index], self.enrolled[index])


@dataclass
class _Open:
    """A file that is being traced."""

    file: str
    read: bool = False
    waiting: int = 0  # segments that the models have not been given yet
    silent: int = 0
    end: float = 0.0
    error: str = ""
    spans: list[tuple[float, float]] = field(default_factory=list)
    evidence: list[_Evidence] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.read and not self.waiting


class Tracer:
    """Models that name the source of audio. The attributes `sources` and `enrolled` are names, in order."""

    def __init__(self, members: Sequence[Member], threads: int = 1):
        """One model, or several that know the same sources and take segments of the same length.

        Args:
            threads: threads that decode, and that compute LFCCs.
        """
        self.members, self.threads = list(members), threads
        self.sources: list[str] = self.members[0].description.sources
        decisions = [one.decision for one in self.members]
        self.decides = None not in decisions
        enrolled = read_enrolled(self.members) if self.decides else {}
        self.enrolled = list(enrolled)
        self._prototypes = [np.stack(each) for each in zip(*enrolled.values(), strict=True)]  # of each model: (e, m)
        margins = [one.margins(each) for one, each in zip(decisions, self._prototypes, strict=bool(enrolled))]
        self._margins = np.mean(margins, axis=0) if margins else np.zeros(0)
        self.threshold: float | None = None
        if self.decides:
            # The score of one model is as it is; those of several are brought to one scale, and averaged.
            self._scales = [(one.mean, one.deviation) for one in decisions] if len(decisions) > 1 else [(0.0, 1.0)]
            scaled = [(one.threshold - mean) / dev for one, (mean, dev) in zip(decisions, self._scales, strict=True)]
            self.threshold = float(np.mean(scaled))

    @classmethod
    def load(cls, folders: Sequence[str | os.PathLike], device: str = "auto", threads: int | None = None) -> "Tracer":
        """The models in some folders, whose probabilities and scores are averaged.

        Args:
            device: `auto`, `cpu` or `cuda`.
            threads: of the CPU; none: one for each core that this process may use.

        Raises:
            UserError: see `member.load_members`; or an enrolled source does not belong to a model.
        """
        threads = threads or usable_cores()
        return cls(load_members(folders, device, threads), threads)

    @property
    def basis(self) -> dict:
        """What a trace rests on: see `basis.basis_of`."""
        return basis_of(self.members)

    def trace(self, inputs: Sequence[str | os.PathLike]) -> Iterator[Trace]:
        """Trace files and folders, in order; each file as soon as the models are through with it.

        A file's probabilities are the geometric mean of its segments', since segments of one recording are no
        independent evidence; its score is the mean of theirs. Segments of many files go through the models together.
        Memory grows neither with the number of files nor, but for the findings, with their length.

        Args:
            inputs: files; folders, for all audio below them; `-` for standard input. See `segments.find_audio`.

        Yields:
            A trace of each file; of one that cannot be read or is silent, with `error`.
        """
        under_way: deque[_Open] = deque()
        waiting: list[tuple[_Open, Segment]] = []
        files = find_audio(inputs)
        current = None
        names = iter(files)
        for piece in read_ahead(files, self.members[0].description.seconds, self.threads):
            if current is None:
                current = _Open(next(names))
                under_way.append(current)
            for segment in piece.segments:
                current.end = segment.end
                if segment.silent:
                    current.silent += 1
                else:
                    current.waiting += 1
                    waiting.append((current, segment))
            current.error = piece.error
            if piece.last:
                current.read, current = True, None
            while len(waiting) >= BATCH:
                self._run(waiting[:BATCH])
                del waiting[:BATCH]
            yield from self._finished(under_way)
        if waiting:
            self._run(waiting)
        yield from self._finished(under_way)

    def _finished(self, under_way: deque[_Open]) -> Iterator[Trace]:
        while under_way and under_way[0].done:
            yield self._conclude(under_way.popleft())

    def _run(self, batch: Sequence[tuple[_Open, Segment]]) -> None:
        """Give a batch to the models, and what is found to the files."""
        found = self._weigh(np.stack([segment.samples for _, segment in batch]))
        for number, (file, segment) in enumerate(batch):
            file.waiting -= 1
            file.spans.append((segment.start, segment.end))
            file.evidence.append(found[number])

    def _weigh(self, waves: np.ndarray) -> _Evidence:
        """Of segments `(batch, samples)` int16: the means over the models."""
        logs, scores, known, enrolled = [], [], [], []
        made: dict = {}  # by front-end: several models may have the same
        for number, one in enumerate(self.members):
            with memory_advice("trace with fewer models at once, or with --device cpu"):
                if one.front_end not in made:
                    made[one.front_end] = one.front_end(waves)
                embeddings, logits = one.run(made[one.front_end])
            order = [one.description.sources.index(source) for source in self.sources]
            if not self.decides:  # a mean of calibrated and other probabilities would be neither
                logs.append(log_softmax(logits, axis=1)[:, order])
                continue
            logs.append(one.decision.log_probabilities(logits)[:, order])
            mean, deviation = self._scales[number]
            scores.append((one.decision.score(embeddings, logits) - mean) / deviation)
            if self.enrolled:
                projected = one.decision.project(embeddings)
                known.append(fewshot.nearest(projected, one.decision.prototypes)[:, order])
                enrolled.append(fewshot.nearest(projected, self._prototypes[number]))
        return _Evidence(
            np.mean(logs, axis=0),
            np.mean(scores, axis=0) if scores else np.full(len(waves), np.nan),
            np.mean(known, axis=0).max(axis=1) if known else np.zeros(len(waves)),
            np.mean(enrolled, axis=0) if enrolled else np.zeros((len(waves), 0)),
        )

    def _conclude(self, file: _Open) -> Trace:
        if file.error or not file.evidence:
            return unread(file.file, file.error or f"{file.file}: silent: there is nothing to be traced")
        parts = ("logs", "scores", "known", "enrolled")
        whole = _Evidence(*(np.mean([getattr(one, part) for one in file.evidence], axis=0) for part in parts))
        probabilities = softmax(whole.logs)
        order = np.argsort(-probabilities, kind="stable")
        return Trace(
            **vars(self._judge(whole)),
            file=file.file,
            seconds=file.end,
            threshold=self.threshold,
            ranking=tuple((self.sources[index], float(probabilities[index])) for index in order),
            similarities={name: float(value) for name, value in zip(self.enrolled, whole.enrolled, strict=True)},
            segments=tuple(
                Stretch(**vars(self._judge(one)), start=start, end=end)
                for one, (start, end) in zip(file.evidence, file.spans, strict=True)
            ),
            silent=file.silent,
        )

    def _judge(self, evidence: _Evidence) -> Finding:
        """The verdict: an enrolled source if it wins, else what the score says."""
        probabilities = softmax(evidence.logs)
        first = int(probabilities.argmax())
        source, probability = self.sources[first], float(probabilities[first])
        if not self.decides:
            return Finding(None, source, probability, None)
        score = float(evidence.scores)
        nearest = winner(float(evidence.known), evidence.enrolled, self._margins)
        if nearest is not None:
            return Finding(ENROLLED, self.enrolled[nearest], None, score)
        return Finding(KNOWN if score >= self.threshold else UNKNOWN, source, probability, score)
