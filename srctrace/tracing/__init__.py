"""Which synthesiser made some audio of anybody's: trained models on files of any format, rate and length.

from srctrace.tracing import Tracer
tracer = Tracer.load(["results/builtin/models/lfcc-resnet18/en/seed1"])
for trace in tracer.trace(["a.wav", "folder"]):
    print(trace.file, trace.verdict, trace.ranking)
"""

from srctrace.tracing.tracer import Tracer

__all__ = ["Tracer"]
