"""How SSL models run. Apart from them, so that it can be asked for without loading what they need."""

from dataclasses import dataclass, field

PRECISIONS = ("bf16", "fp16", "fp32")


@dataclass(frozen=True)
class SslOptions:
    """How an SSL model runs, whatever it is used for."""

    precision: str = field(
        default="bf16",
        metadata={"help": "numbers of the SSL model on a GPU; on a CPU they are always fp32", "choices": PRECISIONS},
    )
    batch_seconds: float = field(
        default=64.0,
        metadata={"help": "seconds of audio that extraction and scoring give an SSL model at once", "low": 0.1},
    )
