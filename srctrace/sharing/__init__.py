"""Models to share: a folder or archive with a card, ONNX, and the Hugging Face hub, to it and from it."""

from srctrace.sharing.names import resolve

__all__ = ["resolve"]
