"""MCL-MLAAD as its authors released it: tensors saved with torch, one folder per language.

`Clean_no_feature/{train,dev,eval}/*.pt` are waveforms of 4 s at 16 kHz, `preprocess_lfcc/{train,dev,eval}/*.pt` are
LFCCs of five variants; the folder of a language, as `en` or `en-en`, is above or below these. A file's name is
`{index}_{label}_{variant}_{name}.pt`, where the name is that of MLAAD's file, and may have underscores itself.
"""

import dataclasses
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from srctrace.corpora.folder import files_in, folders, require_folder
from srctrace.corpora.loose import SPLIT_OF
from srctrace.errors import UserError
from srctrace.features import COLUMNS, write_made
from srctrace.frontends.lfcc import LfccOptions
from srctrace.manifest import Row, new_row
from srctrace.store import write_store
from srctrace.tensors import load_tensor

WAVES = "Clean_no_feature"
LFCC = "preprocess_lfcc"
LABELS = "label_assignment.txt"  # `model name | label | …`, as the published code writes it
FILE = re.compile(r"(\d+)_(\d+)_([A-Za-z]+)_(.+)\.pt")
VARIANT_OF = {
    "original": "clean",
    "clean": "clean",
    "noise": "noise",
    "music": "music",
    "speech": "babble",
    "babble": "babble",
    "reverb": "reverb",
}


@dataclass(frozen=True)
class Tensor:
    """A released file, by what its path says."""

    path: str  # relative to the root
    language: str
    split: str
    label: int
    variant: str
    name: str

    @property
    def utterance(self) -> str:
        """The same for the waveform and the LFCCs of its variants; their indices differ."""
        return f"{self.language}/{self.split}/{self.label}_{self.name}"


def scan_mcl_mlaad(root: str | os.PathLike, languages: Sequence[str]) -> tuple[list[Row], list[str]]:
    """One row per clean waveform, with the split of its folder; the source is `system{label}`, or the model that a
    file `label_assignment.txt` gives the label.

    Returns:
        The rows, and notes on what was found.

    Raises:
        UserError: a folder is missing, a language has no waveforms, or a file's name cannot be read.
    """
    root = Path(root)
    found = list(_tensors(root, WAVES, languages))
    clean = [tensor for tensor in found if tensor.variant == "clean"]
    there = {tensor.language for tensor in clean}
    for language in languages:
        if language not in there:
            raise UserError(
                f"{root}: no waveforms of language {language!r}: expected "
                f"{language}/{WAVES}/{{train,dev,eval}}/*.pt or "
                f"{language}-{language}/{WAVES}/…; folders found: {folders(root)}"
            )
    names = _label_names(root)
    rows = [
        new_row(
            tensor.utterance,
            tensor.path,
            tensor.language,
            names.get(tensor.label, f"system{tensor.label}"),
            text=tensor.name,
            split=tensor.split,
        )
        for tensor in clean
    ]
    notes = [f"{len(found) - len(clean)} waveforms of other variants are left out"] if len(found) > len(clean) else []
    return rows, notes


def pack_released_lfcc(
    root: str | os.PathLike,
    language: str,
    split_of: dict[str, str],
    out: str | os.PathLike,
    options: LfccOptions,
    variants: Sequence[str],
    seconds: float,
) -> None:
    """The released LFCCs of one language's utterances in `split_of` (utterance to split), as `pack_lfcc` writes its
    own: into the store `out`, with `out`.json beside it.

    Args:
        options: how they are taken to be made; `n_lfcc` and, for `seconds`, the number of frames are checked.

    Raises:
        UserError: a variant of an utterance is missing or there twice, or a tensor has another shape.
    """
    places: dict[tuple[str, str], str] = {}
    for tensor in _tensors(Path(root), LFCC, [language]):
        key = tensor.utterance, tensor.variant
        if key in places:
            raise UserError(
                f"{root}: {places[key]} and {tensor.path} are the same variant of one utterance: remove one"
            )
        places[key] = tensor.path
    known = {utterance for utterance, _ in places}
    wanted = sorted(utterance for utterance in split_of if utterance.startswith(f"{language}/"))
    missing = [key for key in ((name, variant) for name in wanted for variant in variants) if key not in places]
    if missing or not wanted:
        what = f"no {missing[0][1]} of {missing[0][0]}" if missing else f"no utterance of {language} has a split"
        raise UserError(
            f"{root}: {what} ({len(missing)} records are missing; LFCCs of {len(known)} utterances of {language} were "
            f"found in folders {LFCC}): fetch that part again, or set corpus.released_lfcc to false"
        )
    shape = (options.n_lfcc, options.frames(round(seconds * options.sample_rate)))

    def records() -> Iterator[tuple[dict[str, object], np.ndarray]]:
        for utterance in tqdm(wanted, desc="released lfcc", unit="utterance", mininterval=1):
            for variant in variants:
                feature = _oriented(load_tensor(Path(root) / places[utterance, variant]), shape)
                if feature is None:
                    raise UserError(
                        f"{Path(root) / places[utterance, variant]}: not {shape[0]} by {shape[1]}: set lfcc and "
                        "seconds in the config to what was released, or corpus.released_lfcc to false"
                    )
                yield {"utterance": utterance, "variant": variant, "split": split_of[utterance]}, feature

    write_store(out, COLUMNS, records())
    write_made(out, {"frontend": "lfcc", **dataclasses.asdict(options), "seconds": seconds, "origin": "released"})


def _oriented(tensor: np.ndarray, shape: tuple[int, int]) -> np.ndarray | None:
    """Coefficients first; without an axis for the channel or the batch."""
    feature = tensor.reshape([size for size in tensor.shape if size != 1] if tensor.ndim > 2 else tensor.shape)
    if feature.shape == shape:
        return feature
    return np.ascontiguousarray(feature.T) if feature.T.shape == shape else None


def _tensors(root: Path, kind: str, languages: Collection[str]) -> Iterator[Tensor]:
    """The released files below folders named `kind`, in the order of their paths."""
    require_folder(root)
    names = {name: language for language in languages for name in (language, f"{language}-{language}")}
    below = defaultdict(list)
    for path in sorted(files_in(str(root), (".pt",))):
        *parts, file = path.split("/")
        if kind not in parts:
            continue
        language = next((names[part] for part in parts if part in names), None)
        split = next((SPLIT_OF[part] for part in reversed(parts) if part in SPLIT_OF), None)
        if language is None:
            continue
        match = FILE.fullmatch(file)
        if split is None or match is None or match[3].lower() not in VARIANT_OF:
            raise UserError(
                f"{root / path}: expected …/{{train,dev,eval}}/INDEX_LABEL_VARIANT_NAME.pt with a variant among "
                f"{', '.join(VARIANT_OF)}"
            )
        _, label, variant, name = match.groups()
        below[language].append(path)
        yield Tensor(path, language, split, int(label), VARIANT_OF[variant.lower()], name)
    if not below:
        raise UserError(
            f"{root}: no .pt file in a folder {kind} of {', '.join(languages)}: corpus.path is to be the folder "
            f"that holds the languages' folders, with archives unpacked; folders found: {folders(root)}"
        )


def _label_names(root: Path) -> dict[int, str]:
    """Label to source, from the first `label_assignment.txt` below `root`."""
    from srctrace.corpora.mlaad import slug  # noqa: PLC0415

    for path in sorted(files_in(str(root), (LABELS,))):
        rows = [line.split("|") for line in (root / path).read_text(encoding="utf-8").splitlines() if line.strip()]
        try:
            return {int(fields[1]): slug(fields[0].strip()) for fields in rows}
        except (IndexError, ValueError):
            raise UserError(f"{root / path}: expected lines 'model name | label | …'") from None
    return {}
