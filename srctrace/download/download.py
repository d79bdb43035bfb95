"""Download a data set: fetch, check, unpack, mark as complete. What is there already is never fetched again."""

import fcntl
import json
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from srctrace.download.catalogue import MARK, DataSet, File, manual_steps
from srctrace.download.extract import Bounds, extract
from srctrace.download.fetch import Host, HostError, Patience, RefusedError
from srctrace.download.hub import DOWNLOADED, hub_host, list_downloaded, list_files
from srctrace.download.verify import read_sums, require, require_recorded
from srctrace.errors import UserError
from srctrace.files import atomic_path, require_space

CONNECTIONS = 8  # at once, for a data set of many small files


def download(
    dataset: DataSet,
    to: Path | None = None,
    mirror: str = "",
    patience: Patience = Patience(),  # noqa: B008 - frozen
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
) -> None:
    """Have a data set in the folder `to`, marked as complete.

    Archives lie beside that folder, under the names of `dataset.files`; one that was put there by hand is taken.

    Args:
        mirror: address that has the same files by the same names; of a hub's data set, another hub.

    Raises:
        UserError: a host cannot be reached (the message has the steps by hand), something is not what was published,
            or the disk is too small.
    """
    to = Path(dataset.folder) if to is None else to
    if (to / MARK).is_file():
        print(f"{dataset.name}: {to} is complete: nothing to do")
        return
    with _alone(to):
        try:
            (_from_hub if dataset.hub else _from_archive)(dataset, to, mirror, patience, bounds)
        except HostError as error:
            raise UserError(f"{error}\n{manual_steps(dataset, to)}") from None
    print(f"{dataset.name}: {to} is complete")


def _from_archive(dataset: DataSet, to: Path, mirror: str, patience: Patience, bounds: Bounds) -> None:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(
            f"{to}: there is something already that this command did not make (it has no {MARK}): use it as it is, or "
            f"move it away and run again"
        )
    host = Host(patience)
    beside = to.parent
    files = list(dataset.files)
    sums = dataset.sums
    if mirror:
        files, sums = [_at(mirror, file) for file in files], sums and _at(mirror, sums)
    missing = [file for file in files if not (beside / file.name).exists()]
    sizes = {file.name: host.size(file) for file in missing}  # a stranger's file is refused before space is asked for
    total = sum(size or 0 for size in sizes.values())
    have = sum(_partial(beside / file.name) for file in missing)
    _announce(dataset, to, total if all(sizes.values()) else None, have, [beside / file.name for file in files])
    require_space(beside, max(0, total - have) + (dataset.unpacked or total))

    if sums:
        host.fetch(sums, beside / sums.name, lambda _: None)
        digests = read_sums(beside / sums.name)
        files = [replace(file, digest=digests.get(file.name, file.digest)) for file in files]
    with _bar(total) as advance:
        for file in files:
            host.fetch(file, beside / file.name, advance if file.name in sizes else lambda _: None)
    checked = []
    for file in files:
        digest = file.digest or f"sha256:{require_recorded(beside / file.name)}"
        if not file.digest:
            print(f"{beside / file.name}: no checksum is published: its own is recorded, to be checked from now on")
        checked.append({"file": file.name, "from": file.url, "digest": digest, "published": bool(file.digest)})

    unpacking = beside / f".{to.name}.unpacking"
    shutil.rmtree(unpacking, ignore_errors=True)  # of a run that was killed
    unpacked = extract([beside / file.name for file in files], unpacking, bounds)
    try:
        root = _root(unpacking, dataset, beside / files[-1].name)
        _write_mark(root, dataset, checked, files=unpacked.files, bytes=unpacked.bytes)
        if to.exists():
            to.rmdir()  # it is empty
        root.rename(to)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    names = shlex.join(str(beside / file.name) for file in files)
    print(f"{dataset.name}: the archive is not needed any more; to free its space: rm {names}")


def _from_hub(dataset: DataSet, to: Path, mirror: str, patience: Patience, bounds: Bounds) -> None:
    host, endpoint = hub_host(mirror, patience)
    try:
        files, version = list_files(host, endpoint, dataset.hub)
    except HostError:
        by_hand = list_downloaded(to)
        if not by_hand:
            raise
        _announce(dataset, to, 0, 0, [])
        for file in tqdm(by_hand, desc="checking", unit="file", mininterval=1):
            require(file, to / file.name)
        _write_mark(to, dataset, _checked(by_hand), version=f"as noted in {DOWNLOADED}")
        return
    for file in files:
        parts = PurePosixPath(file.name).parts
        if not parts or file.name.startswith("/") or ".." in parts or parts[0] == ".cache":
            raise RefusedError(f"{endpoint}: the data set lists a file {file.name!r}, which leads out of the folder")
    if len(files) > bounds.members:
        raise RefusedError(f"{endpoint}: the data set lists {len(files)} files, more than {bounds.members}")
    total = sum(file.size for file in files)
    have = sum(_partial(to / file.name) for file in files)
    _announce(dataset, to, total, have, [])
    require_space(to, max(0, total - have))
    with _bar(total) as advance, ThreadPoolExecutor(CONNECTIONS) as pool:
        jobs = [pool.submit(host.fetch, file, to / file.name, advance) for file in files]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    _write_mark(to, dataset, _checked(files), version=version)


def _announce(dataset: DataSet, to: Path, size: int | None, have: int, archives: Sequence[Path]) -> None:
    there = [str(path) for path in archives if path.exists()]
    fetched = "of unknown size" if size is None else _bytes(size)
    print(f"{dataset.name}: {dataset.title} ({dataset.home})")
    print(f"  licence: {dataset.licence}")
    print(f"  to fetch: {fetched}" + (f", {_bytes(have)} of it are here" if have else ""))
    if there:
        print(f"  already here, to be checked: {', '.join(there)}")
    print(f"  goes to: {to}", flush=True)


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _at(mirror: str, file: File) -> File:
    return replace(file, url=f"{mirror.rstrip('/')}/{file.name}")


def _partial(path: Path) -> int:
    """Bytes of a file that are here already, whole or in part."""
    for there in (path, path.with_name(path.name + ".partial")):
        if there.exists():
            return there.stat().st_size
    return 0


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], object]]:
    with tqdm(total=total or None, unit="B", unit_scale=True, mininterval=1, disable=not total) as bar:
        yield bar.update


@contextmanager
def _alone(to: Path) -> Iterator[None]:
    """Keep a second process off the same files; the kernel drops the lock with the process."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with (to.parent / f".{to.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{to}: another process is downloading it: wait for it to end") from None
        yield


def _root(unpacked: Path, dataset: DataSet, archive: Path) -> Path:
    """The folder of an archive that holds what the data set must hold: its top, or one below.

    Raises:
        UserError: there is none.
    """
    level = [unpacked]
    while level:
        for folder in level:
            if all((folder / name).exists() for name in dataset.holds):
                return folder
        level = [child for folder in level for child in sorted(folder.iterdir()) if child.is_dir()]
    raise UserError(f"{archive}: it has no folder with {', '.join(dataset.holds)}: not {dataset.title}")


def _checked(files: Sequence[File]) -> list[dict[str, object]]:
    return [{"file": file.name, "from": file.url, "digest": file.digest, "published": True} for file in files]


def _write_mark(folder: Path, dataset: DataSet, made_from: Sequence[dict[str, object]], **more: object) -> None:
    mark = {"name": dataset.name, "title": dataset.title, "licence": dataset.licence, **more, "made_from": made_from}
    with atomic_path(folder / MARK) as temporary:
        temporary.write_text(json.dumps(mark, indent=1) + "\n")
