"""Whole downloads against the server on loopback: archives in parts, by hand, interrupted, tampered with; the hub."""

import fcntl
import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from srctrace.download.catalogue import CATALOGUE, DataSet, File, manual_steps
from srctrace.download.download import download
from srctrace.download.extract import Bounds
from srctrace.download.fetch import Patience
from srctrace.errors import UserError
from tests.download.test_split_zip import FILES, split, tree

QUICK = Patience(attempts=3, pause=0.01, timeout=0.5)
SOUND = random.Random(1).randbytes(300_000)


def musan_archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in ("music", "noise", "speech"):
            entry = tarfile.TarInfo(f"musan/{name}/part/1.wav")
            entry.size = len(SOUND)
            archive.addfile(entry, io.BytesIO(SOUND))
    return out.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.fixture
def musan(server) -> DataSet:
    """MUSAN, small, with a size and a digest that are published."""
    content = musan_archive()
    server.files["/musan.tar.gz"] = content
    file = File("musan.tar.gz", f"{server.url}/musan.tar.gz", len(content), f"md5:{hashlib.md5(content).hexdigest()}")
    return replace(CATALOGUE["musan"], files=(file,), unpacked=None)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_data_set_is_fetched_checked_unpacked_and_marked(server, musan, tmp_path, capsys):
    to = tmp_path / "data" / "musan"
    server.faults["/musan.tar.gz"] = ["drop:200000", 503, "stall:100000"]
    download(musan, to, patience=QUICK)
    said = capsys.readouterr().out
    assert names(to) == [".complete", "music", "noise", "speech"]
    assert (to / "speech" / "part" / "1.wav").read_bytes() == SOUND
    assert names(to.parent) == [".musan.lock", "musan", "musan.tar.gz"]
    mark = json.loads((to / ".complete").read_text())
    assert mark["made_from"][0]["digest"] == musan.files[0].digest
    assert "licence: CC BY 4.0" in said
    assert "to fetch: 0.9 MB" in said
    asked = len(server.requests)
    download(musan, to, patience=QUICK)
    assert "is complete: nothing to do" in capsys.readouterr().out
    assert len(server.requests) == asked


def test_licence_and_size_are_said_before_anything_is_fetched(server, musan, tmp_path, capsys):
    """The size that nobody published is asked for."""
    server.faults["/musan.tar.gz"] = [404]
    unknown = replace(musan, files=(replace(musan.files[0], size=None),))
    with pytest.raises(UserError, match="404"):
        download(unknown, tmp_path / "musan", patience=QUICK)
    said = capsys.readouterr().out
    assert "licence: CC BY 4.0" in said
    assert "to fetch: 0.9 MB" in said


def test_an_interrupted_download_goes_on(server, musan, tmp_path, capsys):
    server.faults["/musan.tar.gz"] = ["drop:500000", 503, 503, 503]
    with pytest.raises(UserError, match="no success in 3 attempts"):
        download(musan, tmp_path / "musan", patience=QUICK)
    assert not (tmp_path / "musan").exists()
    download(musan, tmp_path / "musan", patience=QUICK)
    assert "of it are here" in capsys.readouterr().out
    assert "Range" in server.gets("/musan.tar.gz")[-1]
    assert (tmp_path / "musan" / ".complete").exists()


@pytest.mark.skipif(shutil.which("wget") is None, reason="needs wget")
@pytest.mark.parametrize("status", [403, 404, 503])
def test_what_to_do_by_hand_works(server, musan, tmp_path, status):
    """The message's own command, run by a shell, and the same command again without a server."""
    server.faults["/musan.tar.gz"] = [status] * (3 if status == 503 else 1)
    to = tmp_path / "a folder" / "musan"
    with pytest.raises(UserError) as stopped:
        download(musan, to, patience=QUICK)
    message = str(stopped.value)
    assert f"{status}" in message
    assert "--from URL" in message
    assert "HTTPS_PROXY" in message
    assert f"  {to.parent / 'musan.tar.gz'}  (md5 {musan.files[0].digest[4:]})" in message
    command = next(line for line in message.splitlines() if line.startswith("  wget"))
    subprocess.run(command, shell=True, cwd=to.parent, check=True, capture_output=True)
    elsewhere = replace(musan, files=(replace(musan.files[0], url="http://127.0.0.1:1/musan.tar.gz"),))
    download(elsewhere, to, patience=QUICK)
    assert (to / "speech" / "part" / "1.wav").read_bytes() == SOUND


def test_what_was_put_there_by_hand_is_checked(musan, tmp_path):
    archive = tmp_path / "musan.tar.gz"
    archive.write_bytes(musan_archive()[:-1])
    with pytest.raises(UserError, match="truncated or another file"):
        download(musan, tmp_path / "musan", patience=QUICK)
    archive.write_bytes(b"x" + musan_archive()[1:])
    with pytest.raises(UserError, match="its md5 is"):
        download(musan, tmp_path / "musan", patience=QUICK)
    assert archive.exists()
    assert not (tmp_path / "musan").exists()


def test_a_tampered_archive_is_not_kept(server, musan, tmp_path):
    server.files["/musan.tar.gz"] = musan_archive()[:-1] + b"x"
    with pytest.raises(UserError, match="was not kept"):
        download(musan, tmp_path / "musan", patience=QUICK)
    assert names(tmp_path) == [".musan.lock"]


def test_without_a_published_digest_the_first_one_is_recorded(server, tmp_path, capsys):
    """Fetched and recorded; the folder is lost, the archive is tampered with: refused."""
    lists = {f"mlaad4sourcetracing/{name}.csv": b"path,model_name\n" for name in ("train", "dev", "eval")} | {"x": b""}
    server.files["/mlaad4sourcetracing.zip"] = zip_of(lists)
    dataset, to = CATALOGUE["mlaad-protocols"], tmp_path / "protocols"
    download(dataset, to, mirror=server.url, patience=QUICK)
    assert "no checksum is published" in capsys.readouterr().out
    assert names(to) == [".complete", "dev.csv", "eval.csv", "train.csv"]
    assert json.loads((to / ".complete").read_text())["made_from"][0]["published"] is False
    done = subprocess.run(["sha256sum", "-c", "mlaad4sourcetracing.zip.sha256"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    for path in to.iterdir():
        path.unlink()
    (tmp_path / "mlaad4sourcetracing.zip").write_bytes(zip_of(lists | {"mlaad4sourcetracing/train.csv": b"other\n"}))
    with pytest.raises(UserError, match="not the file that was first downloaded"):
        download(dataset, to, mirror=server.url, patience=QUICK)


def mlaad(server, folder) -> tuple[DataSet, list]:
    """MLAAD, small, in five parts with the list of md5 sums that `md5sum` makes."""
    parts = split(folder, 50_000)
    sums = subprocess.run(["md5sum", *(path.name for path in parts)], cwd=folder, capture_output=True, check=True)
    server.files |= {f"/{path.name}": path.read_bytes() for path in parts} | {"/a.zip.md5": sums.stdout}
    files = tuple(File(path.name, f"{server.url}/{path.name}") for path in parts)
    return replace(CATALOGUE["mlaad"], files=files, sums=File("a.zip.md5", f"{server.url}/a.zip.md5")), parts


def test_an_archive_in_parts(server, tmp_path):
    (tmp_path / "made").mkdir()
    dataset, _ = mlaad(server, tmp_path / "made")
    server.faults["/a.z02"] = ["drop:20000", 503]
    to = tmp_path / "data" / "mlaad"
    download(dataset, to, patience=QUICK)
    (to / ".complete").unlink()
    assert {f"top/{name}": content for name, content in tree(to).items()} == FILES


def test_parts_put_there_by_hand(server, tmp_path):
    """All of them and the list of sums, and no network; then one of them is truncated."""
    dataset, parts = mlaad(server, tmp_path)
    (tmp_path / "a.zip.md5").write_bytes(server.files["/a.zip.md5"])
    offline = replace(
        dataset,
        files=tuple(replace(file, url=f"http://127.0.0.1:1/{file.name}") for file in dataset.files),
        sums=replace(dataset.sums, url="http://127.0.0.1:1/a.zip.md5"),
    )
    download(offline, tmp_path / "mlaad", patience=QUICK)
    assert (tmp_path / "mlaad" / "fake" / "en" / "meta.csv").read_bytes() == FILES["top/fake/en/meta.csv"]
    parts[1].write_bytes(parts[1].read_bytes()[:-1])
    with pytest.raises(UserError, match=r"a\.z02: its md5 is"):
        download(offline, tmp_path / "again", patience=QUICK)


def test_a_tampered_part(server, tmp_path):
    (tmp_path / "made").mkdir()
    dataset, parts = mlaad(server, tmp_path / "made")
    server.files["/a.z03"] = parts[2].read_bytes()[::-1]
    with pytest.raises(UserError, match=r"a\.z03: what it gave is not what was published"):
        download(dataset, tmp_path / "data" / "mlaad", patience=QUICK)
    server.files["/a.zip.md5"] = b"not found"
    (tmp_path / "data" / "a.zip.md5").unlink()
    with pytest.raises(UserError, match="not a list of md5 sums"):
        download(dataset, tmp_path / "data" / "mlaad", patience=QUICK)


def test_an_archive_of_something_else(server, tmp_path):
    server.files["/mlaad4sourcetracing.zip"] = zip_of({"readme": b"moved"})
    with pytest.raises(UserError, match=r"it has no folder with train.csv, dev.csv, eval.csv"):
        download(CATALOGUE["mlaad-protocols"], tmp_path / "protocols", mirror=server.url, patience=QUICK)
    assert not (tmp_path / "protocols").exists()
    assert ".protocols.unpacking" not in names(tmp_path)


def test_a_bomb_is_refused(server, tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", bytes(3_000_000))
    server.files["/mlaad4sourcetracing.zip"] = out.getvalue()
    with pytest.raises(UserError, match="a bomb"):
        download(
            CATALOGUE["mlaad-protocols"], tmp_path / "to", mirror=server.url, patience=QUICK, bounds=Bounds(least=10**6)
        )


def test_a_folder_of_the_users_is_left_alone(musan, tmp_path):
    (tmp_path / "musan").mkdir()
    (tmp_path / "musan" / "mine.wav").write_bytes(b"mine")
    with pytest.raises(UserError, match="there is something already"):
        download(musan, tmp_path / "musan", patience=QUICK)
    assert names(tmp_path / "musan") == ["mine.wav"]


def test_no_room(musan, tmp_path):
    with pytest.raises(UserError, match="are needed"):
        download(replace(musan, unpacked=10**18), tmp_path / "musan", patience=QUICK)


def test_two_at_once(musan, tmp_path):
    with (tmp_path / ".musan.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is downloading it"):
            download(musan, tmp_path / "musan", patience=QUICK)


REPOSITORY = "xxuan-speech/MCL-MLAAD"
HUB_FILES = {f"Clean_no_feature/en/{number}_0_a b.pt": random.Random(number).randbytes(5000) for number in range(30)}
HUB_FILES |= {"README.md": b"# MCL-MLAAD\n"}


def git_sha1(content: bytes) -> str:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    done = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def hub(server):
    """The part of the hub's interface that is used: a version, its files in two pages, large ones elsewhere."""
    api = f"/api/datasets/{REPOSITORY}"
    entries = [{"type": "directory", "path": "Clean_no_feature", "oid": "0", "size": 0}]
    for name, content in HUB_FILES.items():
        entry = {"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)}
        if name.endswith(".pt"):
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            server.redirects[f"/datasets/{REPOSITORY}/resolve/abc/{name}"] = f"{server.url}/{entry['lfs']['oid']}"
            server.files[f"/{entry['lfs']['oid']}"] = content
        else:
            server.files[f"/datasets/{REPOSITORY}/resolve/abc/{name}"] = content
        entries.append(entry)
    server.files[f"{api}/revision/main"] = json.dumps({"sha": "abc"}).encode()
    server.files[f"{api}/tree/abc?recursive=true"] = json.dumps(entries[:20]).encode()
    server.files[f"{api}/tree/abc?recursive=true&cursor=2"] = json.dumps(entries[20:]).encode()
    link = f'<https://huggingface.co{api}/tree/abc?recursive=true&cursor=2>; rel="next"'
    server.answers[f"{api}/tree/abc?recursive=true"] = {"Link": link}
    return server


def test_a_data_set_of_the_hub(hub, tmp_path, monkeypatch):
    """HF_ENDPOINT names the hub; the token goes to it and not to where its files lie; a fault in between passes."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", "secret")
    away = hub.url.replace("127.0.0.1", "localhost")
    hub.redirects = {path: where.replace(hub.url, away) for path, where in hub.redirects.items()}
    stored = next(iter(hub.redirects.values())).removeprefix(away)
    hub.faults[stored] = ["drop:2000", 503]
    to = tmp_path / "mcl-mlaad"
    download(CATALOGUE["mcl-mlaad"], to, patience=QUICK)
    mark = json.loads((to / ".complete").read_text())
    assert mark["version"] == "abc"
    assert len(mark["made_from"]) == len(HUB_FILES)
    (to / ".complete").unlink()
    assert tree(to) == HUB_FILES
    assert all("Authorization" not in headers for headers in hub.gets(stored))
    assert hub.gets(f"/api/datasets/{REPOSITORY}/revision/main")[0]["Authorization"] == "Bearer secret"


def test_an_interrupted_data_set_of_the_hub_goes_on_and_no_token_goes_to_a_mirror(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    stored = list(hub.redirects.values())[-1].removeprefix(hub.url)
    hub.faults[stored] = [403]
    with pytest.raises(UserError, match=r"403 .*log in"):
        download(CATALOGUE["mcl-mlaad"], tmp_path / "to", mirror=hub.url, patience=QUICK)
    assert not (tmp_path / "to" / ".complete").exists()
    before = tree(tmp_path / "to")
    assert before
    hub.requests.clear()
    download(CATALOGUE["mcl-mlaad"], tmp_path / "to", mirror=hub.url, patience=QUICK)
    (tmp_path / "to" / ".complete").unlink()
    assert tree(tmp_path / "to") == HUB_FILES
    asked = sum(path.startswith("/datasets/") for _, path, _ in hub.requests)
    assert asked == len(HUB_FILES) - len(before)
    assert all("Authorization" not in headers for _, _, headers in hub.requests)


def test_a_tampered_file_of_the_hub(hub, tmp_path):
    large = next(iter(hub.redirects.values())).removeprefix(hub.url)
    for number, path in enumerate((f"/datasets/{REPOSITORY}/resolve/abc/README.md", large)):
        kept = hub.files[path]
        hub.files[path] = kept[::-1]
        with pytest.raises(UserError, match="is not what was published"):
            download(CATALOGUE["mcl-mlaad"], tmp_path / f"{number}", mirror=hub.url, patience=QUICK)
        hub.files[path] = kept


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ".cache/x"])
def test_a_hub_that_names_files_outside(hub, tmp_path, name):
    listing = [{"type": "file", "path": name, "size": 1, "oid": git_sha1(b"x")}]
    hub.files[f"/api/datasets/{REPOSITORY}/tree/abc?recursive=true"] = json.dumps(listing).encode()
    hub.answers.clear()
    with pytest.raises(UserError, match="leads out of the folder"):
        download(CATALOGUE["mcl-mlaad"], tmp_path / "to" / "to", mirror=hub.url, patience=QUICK)
    assert not list(tmp_path.rglob("x"))


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"error": "moved"}'])
def test_a_hub_that_answers_something_else(hub, tmp_path, answer):
    hub.files[f"/api/datasets/{REPOSITORY}/revision/main"] = answer
    with pytest.raises(UserError, match=r"not JSON|not the answer that the hub gives"):
        download(CATALOGUE["mcl-mlaad"], tmp_path / "to", mirror=hub.url, patience=QUICK)


def test_a_data_set_of_the_hub_by_hand(tmp_path):
    """What `hf download --local-dir` leaves: the files, and a note of each one's version and checksum."""
    to = tmp_path / "to"
    notes = to / ".cache" / "huggingface" / "download"
    for name, content in HUB_FILES.items():
        digest = hashlib.sha256(content).hexdigest() if name.endswith(".pt") else git_sha1(content)
        for path, text in ((to / name, content), (notes / f"{name}.metadata", f"abc\n{digest}\n1.5\n".encode())):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
    dataset, nowhere = CATALOGUE["mcl-mlaad"], "http://127.0.0.1:1"
    unfinished = notes / "x.incomplete"
    unfinished.touch()
    with pytest.raises(UserError, match="has not finished"):
        download(dataset, to, mirror=nowhere, patience=QUICK)
    unfinished.unlink()
    (to / "README.md").write_text("other")
    with pytest.raises(UserError, match=r"README\.md: its git-sha1 is"):
        download(dataset, to, mirror=nowhere, patience=QUICK)
    (to / "README.md").write_bytes(HUB_FILES["README.md"])
    download(dataset, to, mirror=nowhere, patience=QUICK)
    assert len(json.loads((to / ".complete").read_text())["made_from"]) == len(HUB_FILES)


def test_a_hub_out_of_reach_without_anything_by_hand(tmp_path):
    with pytest.raises(UserError, match=f"hf download {REPOSITORY} --repo-type dataset --local-dir to"):
        download(CATALOGUE["mcl-mlaad"], tmp_path / "to", mirror="http://127.0.0.1:1", patience=QUICK)


def srctrace(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "srctrace", "download", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command(server, tmp_path):
    """By a mirror, over a connection that drops; then there is nothing to do; then the mirror is a stranger's."""
    lists = {name: random.Random(name).randbytes(200_000) for name in ("train.csv", "dev.csv", "eval.csv")}
    server.files["/m/mlaad4sourcetracing.zip"] = zip_of(lists)
    server.faults["/m/mlaad4sourcetracing.zip"] = ["drop:300000"]
    arguments = ("mlaad-protocols", "--to", tmp_path / "lists", "--from", f"{server.url}/m/")
    done = srctrace(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("licence:") < done.stdout.index("is complete")
    assert names(tmp_path / "lists") == [".complete", "dev.csv", "eval.csv", "train.csv"]
    assert "Range" in server.gets("/m/mlaad4sourcetracing.zip")[-1]
    assert "nothing to do" in srctrace(*arguments).stdout

    server.files["/m/musan.tar.gz"] = musan_archive()
    done = srctrace("musan", "--to", tmp_path / "musan", "--from", f"{server.url}/m")
    assert done.returncode == 2
    assert "11086114085 are expected: another file" in done.stderr
    assert "wget -c -O musan.tar.gz https://www.openslr.org/resources/17/musan.tar.gz" in done.stderr
    assert "Traceback" not in done.stderr
    archive = "mlaad4sourcetracing.zip"
    assert names(tmp_path) == [".lists.lock", ".musan.lock", "lists", archive, f"{archive}.sha256"]


def test_killed_at_any_moment_it_goes_on(server, tmp_path):
    """A real process, killed while bytes come; the next one continues from what it left."""
    lists = {name: random.Random(name).randbytes(400_000) for name in ("train.csv", "dev.csv", "eval.csv")}
    path = "/mlaad4sourcetracing.zip"
    server.files[path] = zip_of(lists)
    server.faults[path] = ["stall:900000"]
    command = [sys.executable, "-m", "srctrace", "download", "mlaad-protocols", "--to", str(tmp_path / "lists")]
    process = subprocess.Popen([*command, "--from", server.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "mlaad4sourcetracing.zip.partial"
    came = threading.Event()
    for _ in range(200):
        if partial.exists() and partial.stat().st_size > 500_000:
            came.set()
            break
        came.wait(0.05)
    process.kill()
    process.wait()
    assert came.is_set()
    have = partial.stat().st_size
    done = srctrace("mlaad-protocols", "--to", tmp_path / "lists", "--from", server.url)
    assert done.returncode == 0, done.stderr
    assert server.gets(path)[-1]["Range"] == f"bytes={have}-"
    assert (tmp_path / "lists" / "train.csv").read_bytes() == lists["train.csv"]


@pytest.mark.parametrize("dataset", CATALOGUE.values(), ids=CATALOGUE)
def test_the_catalogue_makes_sense(dataset):
    assert bool(dataset.hub) != bool(dataset.files)
    assert dataset.folder.startswith("data/")
    assert all(file.url.startswith("https://") and file.name in file.url for file in dataset.files)
    steps = manual_steps(dataset, Path(dataset.folder))
    assert all(f"data/{file.name}" in steps and file.url in steps for file in dataset.files)
    assert f"srctrace download {dataset.name} --to {dataset.folder}" in steps
