"""`kill -9` and many processes at once: no half version, no half base, no lost garbage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from click.testing import CliRunner
from kills import killed
from versions import logged_models, registered

from llmops import flavor
from llmops.cli.main import cli
from llmops.files import digest, home, staging
from llmops.models import inventory
from llmops.records import BaseModel, ModelVersion
from llmops.store import connection, tags


@pytest.mark.parametrize("where", ["collect", "begin", "save", "upload", "register"])
def test_a_killed_log_leaves_no_version_and_no_garbage_that_gc_does_not_find(
    base: BaseModel, tiny_adapter: Path, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    killed(where, tiny_adapter)
    assert registered() == ["tiny/1"]
    assert [item.kind for item in inventory.items()].count("leftover") >= 1
    shown = CliRunner().invoke(cli, ["cache", "gc", "--dry-run"], catch_exceptions=False)
    assert "would remove" in shown.output
    done = CliRunner().invoke(cli, ["cache", "gc", "--output", "json"], catch_exceptions=False)
    assert json.loads(done.output)["bytes"] >= 0
    assert list(home.folder("staging").iterdir()) == []
    assert not list(temporary.rglob("*.safetensors")), "also what lay in MLflow's temporary folder"
    assert len(logged_models()) == 1
    assert [model.name for model in connection.client().search_registered_models()] == ["tiny"]
    assert "nothing to remove" in CliRunner().invoke(cli, ["cache", "gc"]).output


def test_a_log_that_was_killed_when_it_was_whole_stays(base: BaseModel, tiny_adapter: Path) -> None:
    killed("finish", tiny_adapter)
    CliRunner().invoke(cli, ["cache", "gc"], catch_exceptions=False)
    assert registered() == ["bot/1", "tiny/1"]
    assert len(logged_models()) == 2, "the version's own logged model is no garbage"
    assert all(tags.UNFINISHED not in model.tags for model in logged_models())
    assert tags.UNFINISHED not in connection.client().get_registered_model("bot").tags
    assert "nothing to remove" in CliRunner().invoke(cli, ["cache", "gc"]).output


def test_a_log_that_fails_leaves_nothing(
    base: BaseModel, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mlflow.MlflowClient.create_model_version

    def create(self: mlflow.MlflowClient, name: str, *args: Any, **options: Any) -> Any:
        if name == "bot":
            raise KeyboardInterrupt
        return real(self, name, *args, **options)

    monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", create)
    with pytest.raises(KeyboardInterrupt):
        flavor.log_model(str(tiny_adapter), base="tiny", registered_model_name="bot")
    assert len(logged_models()) == 1
    assert [model.name for model in connection.client().search_registered_models()] == ["tiny"]


def test_gc_leaves_a_running_log_alone(base: BaseModel) -> None:
    with staging.staging() as folder:
        os.utime(folder.with_suffix(".lock"), (time.time() - 60, time.time() - 60))
        CliRunner().invoke(cli, ["cache", "gc"], catch_exceptions=False)
        assert folder.is_dir()


def test_gc_forgets_by_age_only_when_asked(version: ModelVersion, base: BaseModel) -> None:
    from llmops.models.resolve import resolve

    adapter = resolve(version.uri).adapter_dir
    assert adapter is not None
    old = time.time() - 40 * 86_400
    for path in (adapter.parent, base.directory / ".manifest.json"):
        os.utime(path, (old, old))
    CliRunner().invoke(cli, ["cache", "gc"], catch_exceptions=False)
    assert adapter.is_dir()
    listed = CliRunner().invoke(cli, ["cache", "ls", "--output", "json"], catch_exceptions=False)
    assert {item["kind"] for item in json.loads(listed.output)["items"]} == {"base", "adapter"}
    CliRunner().invoke(cli, ["cache", "gc", "--unused-for", "41"], catch_exceptions=False)
    assert adapter.is_dir()
    CliRunner().invoke(cli, ["cache", "gc", "--unused-for", "30"], catch_exceptions=False)
    assert not adapter.exists()
    assert not base.directory.exists()
    assert resolve(version.uri).adapter_dir == adapter, "the registry has them"


LOAD = """
import sys, time
from pathlib import Path
import mlflow
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from llmops.models import bases
from llmops.store import artifacts
ready, go, uri, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
real = artifacts.download
def download(uri, target):
    if uri.startswith("models:/tiny"):
        count.touch()
    return real(uri, target)
artifacts.download = download
from llmops.models.resolve import resolve
ready.touch()
while not go.exists():
    time.sleep(0.01)
files = resolve(uri)
assert files.base.directory.is_dir()
print(files.base.digest)
"""


def test_eight_processes_that_want_a_base_download_it_once(
    version: ModelVersion, base: BaseModel, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "other-machine"
    go = tmp_path / "go"
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-c", LOAD),
                *(str(tmp_path / f"ready-{i}"), str(go), version.uri, str(tmp_path / f"got-{i}")),
            ],
            env={**os.environ, "LLMOPS_HOME": str(elsewhere)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(8)
    ]
    try:
        while len(list(tmp_path.glob("ready-*"))) < 8:
            assert all(process.poll() is None for process in started), started[0].communicate()
            # Nobody may ever see a base that is not whole.
            time.sleep(0.05)
        go.touch()
        while any(process.poll() is None for process in started):
            for folder in (elsewhere / "models").glob("*"):
                assert digest.of_model(folder) == folder.name
        printed = [process.communicate(timeout=60) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * 8, printed
    assert {out.strip() for out, _ in printed} == {base.digest}
    assert len(list(tmp_path.glob("got-*"))) == 1, "one download"
    assert mlflow.get_tracking_uri().startswith("sqlite")
