"""The same behaviour in every store: SQLite, PostgreSQL, and `mlflow server` with its artifacts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from kills import killed
from servers import PostgreSQL, environment, mlflow_server, no_postgresql, postgresql
from tiny_models import build_tiny_adapter
from versions import log_version, logged_models, registered

from llmops import flavor
from llmops.cli.main import cli
from llmops.files import home
from llmops.models import bases, versions
from llmops.models.resolve import resolve
from llmops.records import BaseModel, ModelVersion
from llmops.report import markdown
from llmops.store import connection, registry, runs, tags


@pytest.fixture(scope="module")
def _postgresql() -> Iterator[PostgreSQL]:
    missing = no_postgresql()
    if missing:
        pytest.skip(missing)
    with postgresql() as server:
        server.execute("CREATE DATABASE empty")
        # In a process of its own: a database that someone is connected to cannot be copied.
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", server.uri("empty")]
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        yield server


@pytest.fixture
def postgresql_store(_postgresql: PostgreSQL, request: pytest.FixtureRequest) -> str:
    name = f"test_{time.monotonic_ns()}"
    _postgresql.execute(f"CREATE DATABASE {name} TEMPLATE empty")
    return _postgresql.uri(name)


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(folder, "--artifacts-destination", str(folder / "artifacts")) as url:
        yield url


@pytest.fixture
def server_store(_server: str) -> Iterator[str]:
    yield _server
    client = mlflow.MlflowClient(_server)
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    experiment = client.get_experiment_by_name("tests").experiment_id
    client.rename_experiment(experiment, f"tests {experiment}")
    client.delete_experiment(experiment)


@pytest.fixture(params=["sqlite", "postgresql", "server"])
def store(
    request: pytest.FixtureRequest, store: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """One store after the other; every fixture of this folder builds on it."""
    if request.param == "sqlite":
        yield store
        return
    uri = request.getfixturevalue(f"{request.param}_store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("tests")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    yield uri
    while mlflow.active_run():
        mlflow.end_run()


def test_a_base_is_registered_once_and_found_by_its_digest(
    base: BaseModel, tiny_model: Path
) -> None:
    assert flavor.add_base(tiny_model, "other-name").uri == base.uri
    assert registered() == ["tiny/1"]
    found = versions.registered_base(base.digest)
    assert (found.name, str(found.version)) == ("tiny", "1")
    assert versions.registered_base("0" * 64) is None
    assert bases.find("tiny").digest == base.digest


def test_versions_aliases_tags_and_descriptions(
    version: ModelVersion, base: BaseModel, tiny_model: Path, tmp_path: Path
) -> None:
    second, third = (
        log_version(
            build_tiny_adapter(tiny_model, tmp_path / f"a{seed}", seed=seed),
            base,
            "bot",
            alias=alias,
            tags={"team": "support"},
        )
        for seed, alias in ((2, "challenger"), (3, "champion"))
    )
    assert [version.version, second.version, third.version] == ["1", "2", "3"]
    assert len({version.adapter_digest, second.adapter_digest, third.adapter_digest}) == 3
    assert registry.version_of_alias("bot", "champion") == "3"
    assert registry.version_of_alias("bot", "challenger") == "2"
    assert versions.get_version("bot", "2") == second
    assert resolve("models:/bot@champion").adapter_digest == third.adapter_digest
    found, model = registry.version_record("bot", "3"), runs.find_logged_model(third.model_id)
    assert model.tags["team"] == "support"
    assert model.tags[tags.ADAPTER_DIGEST] == third.adapter_digest
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "bot", "version": "3"}]
    assert "LoRA r4 on tiny" in found.description
    assert model.tags[tags.NOTE] == found.description


def test_the_longest_description_and_a_long_tag_are_stored(version: ModelVersion) -> None:
    longest = "▲" * markdown.LIMIT  # the column counts characters, not bytes
    written = {tags.VERDICT: "IMPROVED", "long": "x" * 5_000}
    registry.redescribe("bot", "1", version.model_id, lambda _: longest)
    registry.annotate_version("bot", "1", written)
    found = connection.client().get_model_version("bot", "1")
    assert found.description == longest
    assert {key: found.tags[key] for key in written} == written
    assert runs.find_logged_model(version.model_id).tags[tags.NOTE] == longest


def test_a_copied_version_is_the_same_model(version: ModelVersion) -> None:
    copied = connection.client().copy_model_version("models:/bot/1", "prod-bot")
    files = resolve(f"models:/prod-bot/{copied.version}")
    assert files.adapter_digest == version.adapter_digest
    assert files.model_id == version.model_id


REGISTER = """
import sys, time
from pathlib import Path
import mlflow
from llmops import flavor
adapter, mine, other = map(Path, sys.argv[1:])
mlflow.set_experiment("tests")
real = mlflow.MlflowClient.create_registered_model
def together(self, name, *args, **options):
    mine.touch()
    while not other.exists():
        time.sleep(0.001)
    return real(self, name, *args, **options)
mlflow.MlflowClient.create_registered_model = together
info = flavor.log_model(adapter, base="tiny", registered_model_name="bot")
print(info.registered_model_version)
"""


def test_two_processes_that_register_the_first_version_at_once(
    base: BaseModel, tiny_adapter: Path, tmp_path: Path
) -> None:
    marks = [str(tmp_path / "first"), str(tmp_path / "second")]
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", REGISTER, str(tiny_adapter), *order],
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for order in (marks, marks[::-1])
    ]
    try:
        printed = [process.communicate(timeout=200) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], printed
    assert sorted(out.strip() for out, _ in printed) == ["1", "2"]
    assert registered() == ["bot/1", "bot/2", "tiny/1"]
    one, two = (resolve(f"models:/bot/{number}") for number in (1, 2))
    assert one.adapter_digest == two.adapter_digest
    assert one.model_id != two.model_id


@pytest.mark.parametrize("store", ["postgresql", "server"], indirect=True)
@pytest.mark.parametrize("where", ["upload", "register"])
def test_a_killed_log_leaves_no_version_and_gc_cleans(
    base: BaseModel, tiny_adapter: Path, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    killed(where, tiny_adapter)
    assert registered() == ["tiny/1"]
    begun = len(logged_models())
    assert begun == 2, "the base, and the one that was killed"
    done = CliRunner().invoke(cli, ["cache", "gc", "--output", "json"], catch_exceptions=False)
    assert json.loads(done.output)["removed"]
    assert list(home.folder("staging").iterdir()) == []
    assert len(logged_models()) == 1
    assert log_version(tiny_adapter, base, "bot").version == "1", "and the next one is the first"
