"""The whole loop on the tiny model: nothing is replaced by a stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import psutil
import pytest

from llmops import pipeline
from llmops.cli.run import text
from llmops.compare import load_suite
from llmops.errors import IntegrityError, UsageError
from llmops.files import home
from llmops.gate import promote
from llmops.recipe.load import load_recipe
from llmops.recipe.schema import Recipe
from llmops.store import connection, registry


def interrupted(recipe: Recipe, place: object, name: str) -> None:
    """Runs the loop as far as a function, in place of which somebody presses Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(place, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(recipe)


CHANGED = ["train.learning_rate=1.0e-3"]


def test_the_loop_runs_twice_and_the_second_meets_the_first(store: str, own_recipe: Path) -> None:
    recipe = load_recipe(own_recipe)
    first = pipeline.run(recipe)
    assert first.comparison.baseline.label == "base"
    assert first.decision.passed
    assert first.answer
    assert registry.version_of_alias("own", "champion") == "1"
    _assert_recorded(first)

    second = pipeline.run(load_recipe(own_recipe, CHANGED))
    assert second.comparison.baseline.uri == "models:/own/1"
    assert second.version.version == "2"
    assert second.version.adapter_digest != first.version.adapter_digest

    again = pipeline.run(load_recipe(own_recipe, CHANGED))
    assert again.version.adapter_digest == second.version.adapter_digest, "training is repeatable"
    assert second.passed
    assert (again.comparison, again.decision, again.answer) == (None, None, None)
    assert (again.version.uri, again.baseline, again.exit_code) == (
        "models:/own/3",
        "models:/own/2",
        0,
    )
    assert registry.version_of_alias("own", "champion") == "2"
    shown = text(again, {})
    assert "none: models:/own/3 has the same bytes as models:/own/2" in shown
    assert "@champion did not move" in shown
    _assert_nothing_runs_or_stays()


def _assert_recorded(outcome: pipeline.Outcome) -> None:
    """What a person finds in MLflow: inputs, metrics, card, tags, evidence."""
    client = connection.client()
    train_run = client.get_run(outcome.trained.run_id)
    assert train_run.info.run_name == "own/1 train"
    assert {i.dataset.name for i in train_run.inputs.dataset_inputs} == {
        "own-train",
        "own-validation",
        "own-test",
    }
    for metric in (
        "train/loss",
        "train/learning_rate",
        "train/tokens_per_second",
        "train/memory_mb",
    ):
        assert len(client.get_metric_history(outcome.trained.run_id, metric)) == 6, metric
    version = client.get_model_version("own", "1")
    assert version.description.startswith(outcome.decision.sentence)
    assert version.tags["verdict"] == outcome.decision.verdict
    assert outcome.decision.evidence_digest.startswith(version.tags["llmops.evidence"])
    run = outcome.comparison.run_id
    evidence = mlflow.artifacts.load_dict(f"runs:/{run}/report/evidence.json")
    assert evidence["candidate"]["adapter_digest"] == outcome.version.adapter_digest
    assert "<html" in mlflow.artifacts.load_text(f"runs:/{run}/report/report.html")
    model = client.get_logged_model(outcome.version.model_id)
    names = {metric.key for metric in model.metrics}
    assert {"token_f1", "likelihood", "nll", "delta/likelihood"} <= names
    assert model.tags["llmops.data_digest"] == outcome.data.digest


def _assert_nothing_runs_or_stays() -> None:
    alive = [
        p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE
    ]
    assert not [p.pid for p in alive if "llmops.serve.worker.main" in p.cmdline()]
    assert not [path for path in home.folder("runs").iterdir() if path.is_dir()]
    assert not [p for p in home.folder("models").iterdir() if p.name.startswith(".staging")]


def test_promotion_needs_evidence_about_these_bytes_and_this_champion(
    store: str, own_recipe: Path
) -> None:
    recipe = load_recipe(own_recipe)
    with pipeline.workspace_of(recipe) as work:
        data, _, version = pipeline.fine_tune(recipe, work)
        suite = load_suite(data.test.path)
        with pytest.raises(UsageError, match="has no evidence"):
            promote(version.uri)
        comparison, decision = pipeline.judge(recipe.policy(), version.uri, suite)
    assert decision.passed
    assert registry.version_of_alias("own", "champion") is None, "judging moves nothing"

    other = pipeline.run(load_recipe(own_recipe, ["seed=8"]))
    assert registry.version_of_alias("own", "champion") == other.version.version
    with pytest.raises(UsageError, match="the evidence is stale: it compares with models:/"):
        promote(version.uri)
    assert registry.version_of_alias("own", "champion") == other.version.version

    path = Path(
        mlflow.artifacts.download_artifacts(f"runs:/{comparison.run_id}/report/evidence.json")
    )
    forged = json.loads(path.read_text())
    forged["verdict"] = "IMPROVED!"
    connection.client().log_text(comparison.run_id, json.dumps(forged), "report/evidence.json")
    with pytest.raises(IntegrityError, match=r"TAMPERED: .* was changed after the verdict"):
        promote(version.uri)


def test_a_rejected_version_leaves_the_champion_alone(store: str, own_recipe: Path) -> None:
    strict = "gate.require=[{metric: likelihood, must: improve, margin: 0.9}]"
    outcome = pipeline.run(load_recipe(own_recipe, [strict]))
    assert not outcome.decision.passed
    assert outcome.decision.exit_code in (3, 4)
    assert outcome.answer is None
    assert registry.version_of_alias("own", "champion") is None
    assert registry.version_of_alias("own", "challenger") == "1"


def test_the_same_recipe_does_not_run_twice_at_once(store: str, own_recipe: Path) -> None:
    recipe = load_recipe(own_recipe)
    with (
        pipeline.workspace_of(recipe),
        pytest.raises(UsageError, match="another process is running it"),
        pipeline.workspace_of(recipe),
    ):
        pass


def test_a_run_stopped_after_promotion_ends_with_the_same_verdict(
    store: str, own_recipe: Path
) -> None:
    # The champion is this run's own version by then: meeting itself would be "not improved".
    recipe = load_recipe(
        own_recipe,
        [
            "gate.require=[{metric: likelihood, must: improve}]",
            "compare.confidence=0.6",  # 12 prompts show little
            "serve=null",
        ],
    )

    interrupted(recipe, pipeline, "serve")
    assert registry.version_of_alias("own", "champion") == "1"
    outcome = pipeline.run(recipe)
    assert outcome.decision.passed
    assert outcome.decision.reused
    assert outcome.decision.evidence["baseline"]["adapter_digest"] is None, "the bare base"
    assert connection.client().get_model_version("own", "1").tags["verdict"] == "IMPROVED"


def test_a_run_killed_before_the_alias_was_set_sets_it(store: str, own_recipe: Path) -> None:
    recipe = load_recipe(own_recipe, ["serve=null"])

    interrupted(recipe, registry, "set_alias")
    outcome = pipeline.run(recipe)
    assert outcome.version.version == "1"
    assert registry.version_of_alias("own", "challenger") == "1"


def test_a_failure_after_registration_does_not_register_again(store: str, own_recipe: Path) -> None:
    recipe = load_recipe(own_recipe)

    interrupted(recipe, pipeline, "judge")
    outcome = pipeline.run(recipe)
    assert outcome.version.version == "1"
    runs = connection.client().search_runs([outcome.comparison.experiment_id])
    assert sum(run.info.run_name == "own/1 train" for run in runs) == 1
