from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from versions import log_version

from llmops.compare import compare, load_suite
from llmops.flavor import add_base
from llmops.recipe.schema import Compare
from llmops.store.connection import client

pytestmark = [  # MLflow 3.17 calls pandas in ways that pandas 3 warns of
    pytest.mark.filterwarnings("ignore:Starting with pandas version 4.0"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame"),
]

DATA = pd.DataFrame(
    {
        "id": [f"q{i}" for i in range(8)],
        "prompt": [f"Split {i}." for i in range(8)],
        "wanted": [f"Return {i}." for i in range(8)],
    }
)


@pytest.fixture(autouse=True)
def _plugin() -> None:
    """The entry point of pyproject.toml, also where the package is not installed anew."""
    from mlflow.models.evaluation.evaluator_registry import _model_evaluation_registry

    from mlflow_plugins.evaluator import LlmopsEvaluator

    _model_evaluation_registry.register("llmops", LlmopsEvaluator)


@pytest.fixture
def bot(store: str, tiny_model: Path, tiny_adapter: Path) -> str:
    base = add_base(tiny_model, "tiny")
    with mlflow.start_run():
        return log_version(tiny_adapter, base, "bot").uri


def evaluated(model: str, **config: object) -> mlflow.models.EvaluationResult:
    return mlflow.models.evaluate(
        model,
        DATA,
        targets="wanted",
        model_type="text",
        evaluators="llmops",
        evaluator_config=config,
    )


def test_mlflow_evaluate_runs_the_comparison(bot: str) -> None:
    options = {"max_tokens": 6, "method": "fixed"}
    with mlflow.start_run() as run:
        result = evaluated(bot, baseline="tiny", **options)
    own = compare(
        "tiny",
        bot,
        load_suite(DATA.rename(columns={"wanted": "expected"}), name="x"),
        Compare.model_validate(options),
    )
    assert result.metrics["token_f1"] == own.metric("token_f1").candidate
    assert result.metrics["lo/likelihood"] == own.metric("likelihood").test.low
    logged = client().get_run(run.info.run_id).data.metrics
    assert logged["delta/likelihood"] == pytest.approx(result.metrics["delta/likelihood"])
    below = client().search_runs(
        [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    )
    assert [child.data.tags["llmops.kind"] for child in below] == ["ab"]


def test_what_is_wrong_is_said_in_mlflows_words(bot: str) -> None:
    with pytest.raises(MlflowException, match="unknown baselines"):
        evaluated(bot, baseline="tiny", baselines="tiny")
    with pytest.raises(MlflowException, match="could not be evaluated by any"):
        evaluated(bot, method="fixed")
    with pytest.raises(MlflowException, match="nothing/1"):
        evaluated(bot, baseline="models:/nothing/1")
