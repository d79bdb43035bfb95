"""Runs that a report must be able to show."""

from srctrace.frontends.catalogue import CHECKPOINTS
from tests.report.made_up_run import LANGUAGES, SYSTEMS, Size

HOSTILE = ("<script>alert(1)</script>", "a & b", "cost: $x$", "tts_models/multilingual/multi-dataset/xtts_v2")
ON_SSL = tuple(f"{name}-aasist" for name in (*CHECKPOINTS, "xlsr-53-matched"))
SMALL = Size(systems=SYSTEMS[:2], conditions=LANGUAGES[:3])
ONE = {"systems": SYSTEMS[:1], "conditions": LANGUAGES[:2]}

EVERY_PROTOCOL = Size(
    systems=SYSTEMS[:2],
    conditions=LANGUAGES[:3],
    variants=("clean", "noise"),
    protocols=("mono", "family", "unseen-language", "unseen-speaker", "pooled", "out-of-set"),
    families=(("germanic", ("en", "de")), ("romance", ("fr",))),
)
PAPERS = Size(
    systems=SYSTEMS[:2],
    protocols=("family",),
    families=(("germanic", ("en", "de")), ("romance", ("fr", "it")), ("slavic", ("pl", "ru"))),
    corpus="mcl-mlaad",
    corpus_type="mlaad",
)

SIZES = {
    "several": SMALL,
    "one of each": Size(systems=SYSTEMS[:1], conditions=("en",), variants=("clean",), sources=("formant",)),
    "one condition": Size(systems=SYSTEMS[:2], conditions=("en",)),
    "seeds": Size(**ONE, seeds=(2, 10)),
    "missing cells": Size(
        systems=SYSTEMS[:1], conditions=LANGUAGES[:3], missing=frozenset({("en", "en"), ("de", "fr")})
    ),
    "never train = test": Size(**ONE, missing=frozenset({("en", "en"), ("de", "de")})),
    "no variants": Size(**ONE, variants=()),
    "no histories": Size(**ONE, histories=False),
    "protocols": EVERY_PROTOCOL,
    "the paper's corpus": PAPERS,
    "hostile": Size(**ONE, sources=HOSTILE),
    "real corpus": Size(systems=SYSTEMS[:2], conditions=("en", "de", "fr"), variants=("clean",), corpus_type="folder"),
    "many systems": Size(systems=(*SYSTEMS, *ON_SSL), conditions=("en",), variants=("clean",)),
    "many conditions": Size(
        systems=SYSTEMS[:1], conditions=tuple(f"language{n}" for n in range(11)), variants=("clean",)
    ),
}
