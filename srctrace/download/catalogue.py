"""OWNS what can be had: each data set's files, where they come from, under what licence, and where they go.

Standard library only: the workflow imports it. Sizes and digests are those that the hosts publish (OpenSLR's
`checksum.md5`, MLAAD's `.md5` file, the hub's listings); where nobody publishes one, none stands here.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

MARK = ".complete"
"""The file in a data set's folder that says that all of it is there; it lists what it was made from."""

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class File:
    """A file to fetch. `digest` is `md5:…`, `sha256:…` or `git-sha1:…`; empty if none is published."""

    name: str
    url: str
    size: int | None = None
    digest: str = ""


@dataclass(frozen=True)
class DataSet:
    """Something to download: an archive in one or more parts, or a data set on a hub.

    Attributes:
        home: page for a person.
        folder: where it goes, unless told otherwise.
        files: the archive's parts.
        sums: the file of md5 sums, in the format of `md5sum`, that its publisher lays beside it.
        hub: name of a data set on the Hugging Face hub, where there is no archive.
        holds: what the archive's root must hold.
        unpacked: bytes it takes when unpacked, roughly, if known.
    """

    name: str
    title: str
    home: str
    licence: str
    folder: str
    files: tuple[File, ...] = ()
    sums: File | None = None
    hub: str = ""
    holds: tuple[str, ...] = ()
    unpacked: int | None = None


def _mlaad(name: str) -> File:
    share = "https://owncloud.fraunhofer.de/index.php/s/tL2Y1FKrWiX4ZtP/download?path=%2Fv5&files="
    return File(name, share + name)


CATALOGUE = {
    dataset.name: dataset
    for dataset in (
        DataSet(
            name="mlaad",
            title="MLAAD v5, the Multi-Language Audio Anti-Spoofing Dataset",
            home="https://deepfake-total.com/mlaad",
            licence="CC BY-NC 4.0: not for commercial use",
            folder="data/mlaad",
            files=(*(_mlaad(f"mlaad_v5.z{part:02d}") for part in range(1, 11)), _mlaad("mlaad_v5.zip")),
            sums=_mlaad("mlaad_v5.zip.md5"),
            holds=("fake",),
        ),
        DataSet(
            name="mlaad-protocols",
            title="MLAAD's source-tracing protocols: train.csv, dev.csv and eval.csv",
            home="https://deepfake-total.com/sourcetracing",
            licence="not stated in the archive's address; MLAAD itself is CC BY-NC 4.0",
            folder="data/mlaad-protocols",
            files=(File("mlaad4sourcetracing.zip", "https://deepfake-total.com/data/mlaad4sourcetracing.zip"),),
            holds=("train.csv", "dev.csv", "eval.csv"),
        ),
        DataSet(
            name="musan",
            title="MUSAN, a corpus of music, speech and noise",
            home="https://www.openslr.org/17/",
            licence="CC BY 4.0; single files under licences of their own, listed in its LICENSE files",
            folder="data/musan",
            files=(
                File(
                    "musan.tar.gz",
                    "https://www.openslr.org/resources/17/musan.tar.gz",
                    11_086_114_085,
                    "md5:0c472d4fc0c5141eca47ad1ffeb2a7df",
                ),
            ),
            holds=("music", "noise", "speech"),
            unpacked=12_000_000_000,
        ),
        DataSet(
            name="rirs",
            title="RIRS_NOISES, room impulse responses and noises",
            home="https://www.openslr.org/28/",
            licence="Apache 2.0",
            folder="data/RIRS_NOISES",
            files=(
                File(
                    "rirs_noises.zip",
                    "https://www.openslr.org/resources/28/rirs_noises.zip",
                    1_311_166_223,
                    "md5:e6f48e257286e05de56413b4779d8ffb",
                ),
            ),
            holds=("real_rirs_isotropic_noises", "simulated_rirs"),
        ),
        DataSet(
            name="mcl-mlaad",
            title="MCL-MLAAD, the benchmark's preprocessed audio",
            home=f"{HUB}/datasets/xxuan-speech/MCL-MLAAD",
            licence="see its page; it is made from MLAAD, which is CC BY-NC 4.0",
            folder="data/mcl-mlaad",
            hub="xxuan-speech/MCL-MLAAD",
        ),
        DataSet(
            name="mcl-mlaad-protocols",
            title="the benchmark's released protocol lists",
            home=f"{HUB}/datasets/xxuan-speech/Multilingual_Source_Tracing_Protocals",
            licence="see its page; it lists files of MLAAD, which is CC BY-NC 4.0",
            folder="data/mcl-mlaad-protocols",
            hub="xxuan-speech/Multilingual_Source_Tracing_Protocals",
        ),
    )
}


def manual_steps(dataset: DataSet, to: Path) -> str:
    """What a person does where the host cannot be reached: exact commands, and where the files go."""
    if dataset.hub:
        get = [f"  hf download {dataset.hub} --repo-type dataset --local-dir {shlex.quote(to.name)}"]
        there = [f"  {to}/  (the whole folder, with the .cache/ in it: it holds the checksums)"]
        install = " that has huggingface_hub (pip install huggingface_hub)"
        taken = "its files are checked against those checksums"
    else:
        files = [*dataset.files, *([dataset.sums] if dataset.sums else [])]
        get = [f"  wget -c -O {shlex.quote(file.name)} {shlex.quote(file.url)}" for file in files]
        there = [
            f"  {to.parent / file.name}" + (f"  ({file.digest.replace(':', ' ')})" if file.digest else "")
            for file in files
        ]
        install = ""
        taken = "what lies there is checked and unpacked, and the network is not needed for it"
    return "\n".join(
        [
            "Behind a proxy, set HTTPS_PROXY=http://HOST:PORT; a mirror of your own is taken with --from URL.",
            f"By hand: see {dataset.home}, and on a machine that can reach it{install}:",
            *get,
            "put here:",
            *there,
            f"and run `srctrace download {dataset.name} --to {shlex.quote(str(to))}` again: {taken}.",
        ]
    )
