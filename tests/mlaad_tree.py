"""A small corpus in the shapes of MLAAD, its protocol lists, MCL-MLAAD, MUSAN and RIRS_NOISES."""

import csv
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from srctrace.audio import decode, fit
from srctrace.rng import generator

HEADER = (
    "path",
    "original_file",
    "language",
    "is_original_language",
    "duration",
    "training_data",
    "model_name",
    "architecture",
    "transcript",
)
VARIANTS = ("original", "reverb", "speech", "music", "noise")  # in the order in which the published code writes them
SECONDS = 4

Row = dict[str, str]


def model_name(source: str) -> str:
    """A source as MLAAD might call its model: with slashes. Its slug is `tts_models_multi_{source}`."""
    return f"tts_models/multi/{source}"


def name_of(row: Row) -> str:
    """The name of its file, the same in every system, as MLAAD's are those of the original recordings."""
    return Path(row["path"]).stem


def write_mlaad_tree(folder: Path, rows: Sequence[Row], audio: Path) -> None:
    """`folder/fake/LANGUAGE/SYSTEM/*.wav` and a `meta.csv` for each system, from the rows of a manifest and the audio
    that their paths, relative to `audio`, name."""
    metas: dict[Path, list[Row]] = defaultdict(list)
    for row in rows:
        system = folder / "fake" / row["language"] / model_name(row["source"]).replace("/", "_")
        system.mkdir(parents=True, exist_ok=True)
        place = system / f"{name_of(row)}.wav"
        shutil.copyfile(audio / row["path"], place)
        metas[system / "meta.csv"].append(
            {
                "path": f"./{place.relative_to(folder).as_posix()}",
                "original_file": f"{row['language']}_XX/by_book/{row['text']}/{name_of(row)}.wav",
                "language": row["language"],
                "is_original_language": "True",
                "duration": f"{soundfile.info(place).duration:.3f}",
                "training_data": "unknown",
                "model_name": model_name(row["source"]),
                "architecture": "none",
                "transcript": f'She said "{row["sentence"]}',
            }
        )
    for meta, entries in metas.items():
        lines = ["|".join(HEADER), *("|".join(entry.values()) for entry in entries)]
        meta.write_text("\n".join(lines) + "\n")


def write_split_lists(folder: Path, rows: Sequence[Row], split_of: Mapping[str, str], speakers: bool = False) -> None:
    """`train.csv`, `dev.csv` and `eval.csv` with `path` and `model_name`, as MLAAD's source-tracing protocols have.

    Args:
        split_of: utterance to split; others are not listed.
        speakers: add pseudo-speakers, numbered within each language, in a column of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {name: number for number, name in enumerate(sorted({row["speaker"] for row in rows}))}
    for split in ("train", "dev", "eval"):
        with (folder / f"{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "model_name", *(["pseudo_speaker"] if speakers else [])])
            for row in rows:
                if split_of.get(row["utterance"]) == split:
                    model = model_name(row["source"])
                    path = f"fake/{row['language']}/{model.replace('/', '_')}/{name_of(row)}.wav"
                    writer.writerow([path, model, *([numbers[row["speaker"]]] if speakers else [])])


def write_mcl_mlaad_tree(folder: Path, rows: Sequence[Row], split_of: Mapping[str, str], audio: Path) -> None:
    """`folder/LANGUAGE-LANGUAGE/Clean_no_feature/SPLIT/*.pt` and, beside it, LFCCs of five variants.

    These LFCCs are no LFCCs: they are filled with the number of the utterance in `rows` and that of the variant.
    """
    import torch

    labels = {source: label for label, source in enumerate(sorted({row["source"] for row in rows}))}
    for number, row in enumerate(rows):
        split = split_of.get(row["utterance"])
        if split is None:
            continue
        home = folder / f"{row['language']}-{row['language']}"
        clean, lfcc = home / "Clean_no_feature" / split, home / "LFCC_add_noise" / "preprocess_lfcc" / split
        for place in (clean, lfcc):
            place.mkdir(parents=True, exist_ok=True)
        label, name = labels[row["source"]], name_of(row).replace("-", "_")
        wave = fit(decode(audio / row["path"]).samples, SECONDS * 16000, generator(0, row["utterance"]))
        torch.save(torch.from_numpy(wave / np.float32(32768))[None], clean / f"{number:06d}_{label}_original_{name}.pt")
        for index, variant in enumerate(VARIANTS):
            feature = torch.full((80, 399), float(number))
            feature[0] = index
            torch.save(feature, lfcc / f"{5 * number + index:06d}_{label}_{variant}_{name}.pt")


def write_noise_as_released(folder: Path, noise: Path) -> None:
    """`folder/musan` and `folder/RIRS_NOISES` with what lies beside the audio there, from folders `musan` and `rirs` in
    `noise`."""
    for category in ("noise", "music", "speech"):
        for index, path in enumerate(sorted((noise / "musan" / category).rglob("*.wav"))):
            place = folder / "musan" / category / ("fma", "us-gov")[index % 2]
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place / f"{category}-us-gov-{index:04d}.wav")
            for beside in ("ANNOTATIONS", "LICENSE"):
                (place / beside).write_text(f"{path.name} public domain\n")
    (folder / "musan" / "README").write_text("all about it\n")
    root = folder / "RIRS_NOISES"
    responses = [soundfile.read(path) for path in sorted((noise / "rirs").rglob("*.wav"))]
    for index, (response, rate) in enumerate(responses):
        if index % 4:
            size = ("small", "medium", "large")[index % 3]
            place = root / "simulated_rirs" / f"{size}room" / f"Room{index // 12 + 1:03d}"
            signal, name = response, f"Room{index // 12 + 1:03d}-{index:05d}.wav"
        else:
            place, name = root / "real_rirs_isotropic_noises", f"RVB2014_type1_rir_largeroom{index}_far_angla.wav"
            signal = np.stack([response] + 7 * [np.roll(response, 5)], axis=1)  # an array of eight microphones
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / name, signal, rate)
    loud = 0.1 * generator(0, "noise").normal(size=16000)
    for name in (
        "real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav",
        "real_rirs_isotropic_noises/RWCP_type1_noise_1.wav",
        "pointsource_noises/noise-free-sound-0000.wav",
        "pointsource_noises/noise-sound-bible-0001.wav",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, loud, 16000)
    for name in ("real_rirs_isotropic_noises/rir_list", "simulated_rirs/rir_list", "pointsource_noises/noise_list"):
        (root / name).write_text("--rir-id 1 --room-id 1 RIRS_NOISES/x.wav\n")
