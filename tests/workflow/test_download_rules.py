"""The download rules: they download when asked to, once, and never of themselves."""

import json

import pytest

from srctrace.download.catalogue import CATALOGUE
from tests.download.server import serve
from tests.download.test_download import git_sha1, zip_of
from tests.workflow.conftest import Run, small_config

pytestmark = pytest.mark.workflow
HUB_SET = CATALOGUE["mcl-mlaad-protocols"]


def test_a_data_set_is_a_target(tmp_path, monkeypatch):
    """From a hub on loopback; asked for again it stays, and nothing is fetched again."""
    with serve() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        content = b"path,label\n"
        name = "Languages Protocol/train_en.csv"
        listing = [{"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)}]
        hub.files = {
            f"/api/datasets/{HUB_SET.hub}/revision/main": json.dumps({"sha": "abc"}).encode(),
            f"/api/datasets/{HUB_SET.hub}/tree/abc?recursive=true": json.dumps(listing).encode(),
            f"/datasets/{HUB_SET.hub}/resolve/abc/{name}": content,
        }
        run = Run(tmp_path, small_config())
        done = run.snakemake("--", "download_mcl_mlaad_protocols")
        assert done.returncode == 0, done.stdout[-3000:]
        assert "licence:" in done.stdout
        assert (tmp_path / HUB_SET.folder / name).read_bytes() == content
        hub.requests.clear()
        done = run.snakemake("--forceall", "--", f"{HUB_SET.folder}/.complete")
        assert done.returncode == 0, done.stdout[-3000:]
        assert "nothing to do" in done.stdout
        assert hub.requests == []


def test_an_archive_put_there_by_hand_is_taken(tmp_path):
    """Without a network; what Snakemake makes of the folder before the job does not stand in the way."""
    lists = {f"mlaad4sourcetracing/{name}.csv": b"path,model_name\n" for name in ("train", "dev", "eval")}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mlaad4sourcetracing.zip").write_bytes(zip_of(lists))
    done = Run(tmp_path, small_config()).snakemake("--", "data/mlaad-protocols/.complete")
    assert done.returncode == 0, done.stdout[-3000:]
    assert sorted(path.name for path in (tmp_path / "data" / "mlaad-protocols").iterdir()) == [
        ".complete",
        "dev.csv",
        "eval.csv",
        "train.csv",
    ]


def test_a_run_never_downloads_of_itself(tmp_path):
    """Neither where the built-in noise is used, nor where MUSAN is wanted and is not there."""
    config = small_config()
    done = Run(tmp_path, config).snakemake("--dry-run")
    assert done.returncode == 0
    assert "download_" not in done.stdout
    config["noise"] = {"musan": "data/musan", "rirs": "data/RIRS_NOISES"}
    done = Run(tmp_path, config).snakemake("--dry-run")
    assert done.returncode != 0
    assert "data/musan" in done.stdout
    assert "download_" not in done.stdout
