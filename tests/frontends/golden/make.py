"""Wrote the checkpoints and hidden states beside it, once. Run again only to take up a change that is meant."""

from pathlib import Path

import numpy as np
import torch

from srctrace.frontends.ssl import load_encoder, read_pinned
from srctrace.frontends.tiny import ARCHITECTURES, make_checkpoint
from srctrace.frontends.weights import pin

HERE = Path("tests/frontends/golden")  # from the root of the repository


def signal() -> np.ndarray:
    """A second of a rising tone in a little noise, `(16000,)` float32."""
    time = np.arange(16_000) / 16_000
    noise = np.sin(np.arange(16_000) ** 2 % 1009)  # the same everywhere, whatever a generator does
    return (0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time) + 0.02 * noise).astype(np.float32)


def main() -> None:
    for architecture in ARCHITECTURES:
        if architecture == "wav2vec2-base":
            continue
        make_checkpoint(architecture, HERE / architecture, seed=1)
        pin(str(HERE / architecture), "main", HERE / f"{architecture}.json")
        encoder = load_encoder(HERE / architecture, read_pinned(HERE / f"{architecture}.json"), "weighted").eval()
        with torch.inference_mode():
            hidden = encoder(torch.from_numpy(signal())[None])[0, :, :, ::20]
        np.save(HERE / f"{architecture}.npy", hidden.numpy())


if __name__ == "__main__":
    main()
