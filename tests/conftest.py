"""A tiny random Llama, an empty SQLite store and an empty home for every test: no mocks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_models import build_tiny_adapter, build_tiny_model

from llmops.models.foreign import process
from llmops.records import BaseModel, ModelVersion

ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
for address in ADDRESSES:
    os.environ.pop(address, None)  # that of whoever runs the tests
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tiny matrices: more threads only get in each other's way
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# A shell starts background jobs with SIGINT ignored, and every child inherits that: no test of
# Ctrl-C could pass there.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_adapter(tiny_model, tmp_path_factory.mktemp("tiny-adapter") / "adapter")


@pytest.fixture(scope="session", autouse=True)
def _no_home_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fixtures of a module or of the session begin before ``_own_home`` does."""
    os.environ["LLMOPS_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_HOME", str(tmp_path / "home"))
    for name in (
        "MLFLOW_RUN_ID",
        "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_EXPERIMENT_NAME",
        "LLMOPS_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_address_stays() -> Iterator[None]:
    """``mlflow.set_tracking_uri`` exports the address, which the commands of later tests inherit."""
    before = {name: os.environ.get(name) for name in ADDRESSES}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store: the migrations take seconds, a copy takes none."""
    import mlflow

    path = tmp_path_factory.mktemp("store") / "empty.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _empty_database: Path) -> str:
    """An empty MLflow store of this test's own; returns its tracking URI."""
    import shutil

    import mlflow

    shutil.copy(_empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("tests")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")  # set_experiment exports it
    yield uri
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


RECIPE = """\
schema_version: 1
name: own
data: {{path: own.csv, prompt: q, completion: a}}
train: {{base: {base}, max_steps: 6, batch_size: 4, learning_rate: 1.0e-2, save_steps: 2, lora: {{rank: 4}}}}
flavor: {{model: own}}
compare: {{scorers: [token_f1, likelihood], max_tokens: 8}}
gate: {{require: [{{metric: likelihood, must: not_regress, margin: 0.1}}], min_prompts: 5}}
serve: {{max_tokens: 4}}
"""


@pytest.fixture
def own_recipe(tiny_model: Path, tmp_path: Path) -> Path:
    """A recipe on the tiny model and sixty rows of a user's own, in the working directory."""
    rows = [f"Split a pathname {i}.,Return the last access time {i}." for i in range(60)]
    (tmp_path / "own.csv").write_text("\n".join(["q,a", *rows]) + "\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(base=tiny_model))
    return path


@pytest.fixture
def base(store: str, tiny_model: Path) -> BaseModel:
    from llmops import flavor

    return flavor.add_base(tiny_model, "tiny")


@pytest.fixture
def version(base: BaseModel, tiny_adapter: Path) -> ModelVersion:
    import mlflow
    from versions import log_version

    with mlflow.start_run():
        return log_version(tiny_adapter, base, "bot", alias="champion", params={"lora_rank": 4})


@pytest.fixture(scope="module")
def one_second() -> Iterator[None]:
    """Limit what others wrote to a CPU second: enough to see that it does not end."""
    process.LIMITED.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "SECONDS", 1)
        yield
    process.LIMITED.close()
