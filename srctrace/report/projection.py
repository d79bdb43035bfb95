"""Embeddings in two dimensions, and how they cluster in all of theirs."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances, silhouette_samples

from srctrace import grid
from srctrace.embeddings import COLUMNS
from srctrace.files import atomic_path
from srctrace.rng import uniforms
from srctrace.store import open_store

SPLITS = ("eval", "eval-unknown")
MOST = 600  # points: more would hide each other
COMPONENTS = 50  # kept of an embedding, before t-SNE
PERPLEXITY = 30.0
SEED = 0
COLOURINGS = ("source", "language", "speaker")


def write_projection(config: Mapping, results: str | os.PathLike, out: str | os.PathLike) -> None:
    """Write one map of embeddings per system as JSON: `models`, each with `points` and `measures`.

    The model is that of the first train condition and seed of the config; its points are clean eval trials of all
    languages that it was tested on, unknown sources included, at most `MOST`, drawn by chance.

    Args:
        config: of the run, complete.
        results: the corpus's folder: `models/{system}/{train}/seed{seed}/embeddings.npy`.

    Raises:
        UserError: a store is missing or damaged.
    """
    train = next(iter(grid.tests(config)))
    models = []
    for system in config["systems"]:
        model = grid.Model(system, train, config["seeds"][0])
        rows, embeddings = _read(Path(results) / "models" / model.folder / "embeddings.npy")
        points = [
            {name: row[name] for name in COLOURINGS} | {"known": row["split"] == "eval", "x": x, "y": y}
            for row, (x, y) in zip(rows, project(embeddings).round(4).tolist(), strict=True)
        ]
        measured = measures(rows, embeddings)
        models.append({"system": system, "train": train, "seed": model.seed, "points": points, "measures": measured})
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps({"models": models}, indent=1, ensure_ascii=False))


def project(embeddings: np.ndarray) -> np.ndarray:
    """Places `(points, 2)` from 0 to 1 of `(points, size)`: t-SNE of the first principal components.

    Three points or fewer have no neighbourhoods to keep: their places are their first two dimensions.
    """
    n, size = embeddings.shape
    if n > 3:
        reduced = PCA(min(COMPONENTS, n, size), random_state=SEED).fit_transform(embeddings)
        perplexity = min(PERPLEXITY, (n - 1) / 3)
        places = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1).fit_transform(reduced)
    else:
        places = np.pad(embeddings, ((0, 0), (0, 2)))[:, :2]
    span = np.ptp(places, axis=0)
    return (places - places.min(axis=0)) / np.where(span > 0, span, 1.0)


def measures(rows: Sequence[Mapping[str, str]], embeddings: np.ndarray) -> list[dict]:
    """How embeddings `(points, size)` cluster by source, language and speaker, by cosine distance.

    `purity`: the share of points whose nearest neighbour is of the same group; `chance`: what it would be if neighbours
    were drawn. `silhouette`: the mean silhouette, from -1 to 1. Points whose speaker is not known have no group, and a
    colouring with fewer than two groups is left out.
    """
    found = []
    for by in COLOURINGS:
        keep = [place for place, row in enumerate(rows) if row[by]]
        groups = np.array([rows[place][by] for place in keep])
        sizes = Counter(groups.tolist())
        if not 2 <= len(sizes) < len(groups):
            continue
        distances = pairwise_distances(embeddings[keep], metric="cosine")
        np.fill_diagonal(distances, 0)
        silhouette = float(silhouette_samples(distances, groups, metric="precomputed").mean())
        np.fill_diagonal(distances, np.inf)
        purity = float((groups[distances.argmin(axis=1)] == groups).mean())
        n = len(groups)
        chance = sum(size * (size - 1) for size in sizes.values()) / (n * (n - 1))
        named = {"by": by, "groups": len(sizes), "points": n}
        found.append(named | {"purity": purity, "chance": chance, "silhouette": silhouette})
    return found


def _read(path: Path) -> tuple[list[dict[str, str]], np.ndarray]:
    """Rows and embeddings `(points, size)` float64 of the trials to show."""
    store = open_store(path, COLUMNS)
    places = [place for place, row in enumerate(store.rows) if row["variant"] == "clean" and row["split"] in SPLITS]
    places.sort(key=lambda place: uniforms(1, "projection", store.rows[place]["utterance"]))
    places = sorted(places[:MOST])
    return [store.rows[place] for place in places], np.stack([store.record(place) for place in places]).astype(float)
