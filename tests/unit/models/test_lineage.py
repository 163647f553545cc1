"""What `lineage` says of every kind of model, on a real store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest

from llmops import flavor
from llmops.errors import IntegrityError, LlmopsError, NotFoundError, UsageError
from llmops.models import bases
from llmops.models.lineage import lineage
from llmops.records import BaseModel
from llmops.records.lineage import Lineage
from llmops.store import connection

EVIDENCE = "93ae4df2fd7b" + "0" * 52


@pytest.fixture
def base(store: str, tiny_model: Path) -> BaseModel:
    return flavor.add_base(tiny_model, "tiny")


@pytest.fixture
def trained(base: BaseModel, tiny_adapter: Path) -> SimpleNamespace:
    """models:/bot/1 with a training run as `llmops run` writes it."""
    import pandas as pd

    tags = {
        "llmops.recipe_digest": "ab" * 32,
        "llmops.data_digest": "cd" * 32,
        "llmops.git_commit": "0123456789ab-dirty",
        "mlflow.source.name": "/home/someone/bin/llmops",
    }
    with mlflow.start_run(run_name="bot train", tags=tags) as run:
        frame = pd.DataFrame({"prompt": ["a"]})
        for name, context in (("docs-train", "training"), ("docs-test", "test")):
            dataset = mlflow.data.from_pandas(frame, name=name, digest="12" * 16)
            mlflow.log_input(dataset, context=context)
        mlflow.log_params({"method": "lora", "seed": 7, "target_modules": "all-linear"})
        mlflow.log_metrics({"validation/loss": 1.25, "train/loss": float("nan"), "other": 1.0})
        mlflow.log_text("name: bot", "recipe.yaml")
        info = flavor.log_model(
            str(tiny_adapter), base="tiny", registered_model_name="bot", alias="challenger"
        )
    return SimpleNamespace(run=run.info, model_id=info.model_id)


def test_an_adapter_names_everything_it_was_made_of(
    trained: SimpleNamespace, base: BaseModel, tiny_adapter: Path
) -> None:
    found = lineage("models:/bot@challenger")
    assert (found.uri, found.kind, found.aliases) == ("models:/bot/1", "adapter", ("challenger",))
    assert found.created is not None
    assert found.base.uri == "models:/tiny/1"
    assert (found.base.name, found.base.digest) == ("tiny", base.digest)
    assert (found.base.origin, found.base.cached) == ("directory:base", True)
    config = json.loads((tiny_adapter / "adapter_config.json").read_text())
    adapter = found.adapter
    assert adapter is not None
    assert (adapter.rank, adapter.alpha) == (config["r"], config["lora_alpha"])
    assert adapter.targets == len(config["target_modules"])
    weights = (tiny_adapter / "adapter_model.safetensors").stat().st_size
    assert adapter.size is not None
    assert weights < adapter.size < weights + 10_000
    assert adapter.unservable is None
    assert found.requirements["mlflow"] == mlflow.__version__
    assert found.evidence is None


def test_the_training_run_is_summed_up_with_links(trained: SimpleNamespace) -> None:
    found = lineage("models:/bot/1")
    run, page = found.run, f"/#/experiments/{trained.run.experiment_id}"
    assert run is not None
    assert (run.id, run.name) == (trained.run.run_id, "bot train")
    assert run.status == "FINISHED"
    assert run.params == {"method": "lora", "seed": "7"}
    assert run.metrics == {"validation/loss": 1.25, "train/loss": None}
    assert (run.commit, run.program) == ("0123456789ab-dirty", "llmops")
    shown = [(data.name, data.context, data.digest) for data in run.datasets]
    assert sorted(shown) == [
        ("docs-test", "test", "12" * 16),
        ("docs-train", "training", "12" * 16),
    ]
    assert (found.recipe_digest, found.data_digest) == ("ab" * 32, "cd" * 32)
    assert str(run.link).endswith(f"{page}/runs/{run.id}")
    assert run.recipe == f"{run.link}/artifacts/recipe.yaml"
    assert str(found.model_link).endswith(f"{page}/models/{trained.model_id}")
    assert str(found.link).endswith("/#/models/bot/versions/1")


def test_a_copy_and_the_logged_model_have_the_same_lineage(trained: SimpleNamespace) -> None:
    connection.client().copy_model_version("models:/bot/1", "prod")
    one, copy = lineage("models:/bot/1"), lineage("models:/prod/1")
    logged = lineage(f"models:/{trained.model_id}")
    for other in (copy, logged):
        assert (other.base, other.adapter, other.run) == (one.base, one.adapter, one.run)
        assert (other.model_id, other.kind) == (trained.model_id, "adapter")
    assert copy.uri == "models:/prod/1"
    assert (logged.link, logged.aliases, logged.evidence) == (None, (), None)


def test_a_copy_outlives_its_original(trained: SimpleNamespace) -> None:
    connection.client().copy_model_version("models:/bot/1", "prod")
    connection.client().delete_registered_model("bot")
    found = lineage("models:/prod/1")
    assert found.adapter is not None
    assert found.model_id == trained.model_id


def test_a_base_is_its_own_base(base: BaseModel) -> None:
    for uri in ("tiny", "models:/tiny/1"):
        found = lineage(uri)
        assert (found.uri, found.kind, found.adapter) == ("models:/tiny/1", "base", None)
        assert (found.base.digest, found.base.origin) == (base.digest, "directory:base")
        assert found.run is None
        assert nothing_recorded(found)


def test_a_full_model_that_is_no_base(store: str, tiny_model: Path) -> None:
    flavor.log_model(str(tiny_model), registered_model_name="whole")
    found = lineage("models:/whole/1")
    assert (found.kind, found.adapter, found.base.uri) == ("full", None, None)
    assert found.base.name == "whole"
    assert nothing_recorded(found)


def test_what_nobody_wrote_down_is_none(base: BaseModel, tiny_adapter: Path) -> None:
    with mlflow.start_run() as run:
        options = {"pip_requirements": ["torch"], "registered_model_name": "bare"}
        flavor.log_model(str(tiny_adapter), base="tiny", **options)
    found = lineage("models:/bare/1")
    assert nothing_recorded(found)
    assert set(found.requirements.values()) == {None}
    assert found.run is not None
    assert (found.run.recipe, found.run.datasets) == (None, ())
    assert found.run.params == {}
    connection.client().delete_run(run.info.run_id)
    assert lineage("models:/bare/1").run is not None, "MLflow keeps deleted runs"


def nothing_recorded(found: Lineage) -> bool:
    return found.data_digest is found.recipe_digest is found.evidence is None


def test_a_run_and_a_model_of_another_store_are_only_named(
    trained: SimpleNamespace, tmp_path: Path
) -> None:
    files = Path(mlflow.artifacts.download_artifacts("models:/bot/1", dst_path=str(tmp_path / "f")))
    client = connection.client()
    client.create_registered_model("imported")
    client.create_model_version("imported", files.as_uri(), run_id="0" * 32)
    found = lineage("models:/imported/1")
    assert found.run is not None
    assert (found.run.id, found.run.link) == ("0" * 32, None)
    assert (found.model_id, found.recipe_digest) == (trained.model_id, None)
    assert found.adapter == lineage("models:/bot/1").adapter


def test_no_weight_is_needed(trained: SimpleNamespace, base: BaseModel) -> None:
    stored = Path(mlflow.artifacts.download_artifacts("models:/bot/1"))
    (stored / "adapter/adapter_model.safetensors").unlink()  # the store is a local folder
    shutil.rmtree(bases.cache_dir(base.digest))
    found = lineage("models:/bot/1")
    assert found.base.cached is False
    assert not bases.cache_dir(base.digest).exists()


def test_the_evidence_is_that_of_the_tags_and_of_the_comparison(trained: SimpleNamespace) -> None:
    with mlflow.start_run(tags={"llmops.evidence": EVIDENCE}) as comparison:
        pass
    tags = {"llmops.verdict": "IMPROVED", "llmops.delta": "+0.21 [0.06, 0.35]"}
    tags |= {"llmops.versus": "v2", "llmops.evidence": EVIDENCE[:12]}
    for key, value in tags.items():
        connection.client().set_model_version_tag("bot", "1", key, value)
    found = lineage("models:/bot/1").evidence
    assert found is not None
    assert (found.verdict, found.versus, found.digest) == ("IMPROVED", "v2", EVIDENCE)
    assert found.run_id == comparison.info.run_id
    assert str(found.link).endswith(f"/runs/{comparison.info.run_id}")
    connection.client().set_model_version_tag("bot", "1", "llmops.evidence", "' or 1=1 --")
    forged = lineage("models:/bot/1").evidence
    assert forged is not None
    assert (forged.run_id, forged.link, forged.when) == (None, None, None)


@pytest.mark.parametrize("text", ["{", "[]", '{"r": "many"}', '{"r": null}'])
def test_a_damaged_adapter_configuration_is_said(trained: SimpleNamespace, text: str) -> None:
    stored = Path(mlflow.artifacts.download_artifacts("models:/bot/1"))
    (stored / "adapter/adapter_config.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"models:/bot/1: adapter/adapter_config\.json"):
        lineage("models:/bot/1")


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("nothing", UsageError),
        ("models:/", UsageError),
        ("models:/bot", UsageError),
        ("models:/bot@champion", NotFoundError),
        ("models:/bot/7", NotFoundError),
        ("models:/bot/one", NotFoundError),
        ("models:/m-" + "0" * 32, NotFoundError),
    ],
)
def test_a_uri_that_leads_nowhere(
    trained: SimpleNamespace, uri: str, error: type[LlmopsError]
) -> None:
    with pytest.raises(error):
        lineage(uri)


def test_a_model_of_another_flavor_is_not_ours(store: str) -> None:
    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context: object, model_input: list[str]) -> list[str]:
            return model_input

    mlflow.pyfunc.log_model(name="echo", python_model=Echo(), registered_model_name="echo")
    with pytest.raises(UsageError, match="not a version that llmops logged"):
        lineage("models:/echo/1")
