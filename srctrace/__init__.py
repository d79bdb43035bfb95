"""Source tracing of speech deepfakes: given a synthetic utterance, say which system generated it."""

__version__ = "0.1.0"
