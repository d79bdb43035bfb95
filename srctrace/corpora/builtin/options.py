"""How large the built-in corpus is."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BuiltinOptions:
    """How much is spoken, and by whom."""

    speakers: int = field(default=12, metadata={"help": "speakers, the same in every language and source", "low": 1})
    out_of_set_sentences: int = field(
        default=1, metadata={"help": "sentences per speaker of each out-of-set source", "low": 0}
    )
    seed: int = field(default=0, metadata={"help": "draws voices, sentences, levels and the noise bank"})
