"""Judging a version: what is done once, and what a run that ends has."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from trained import HELD_OUT, TRAINED, another_adapter, log_trained, recipe, suite_file

from llmops.cli.main import cli
from llmops.compare import compare, load_suite
from llmops.engine.local.engine import LocalEngine
from llmops.errors import DataError, StoreError, UsageError
from llmops.judging import version as version_of
from llmops.models import versions
from llmops.records import ModelVersion
from llmops.store import artifacts, connection

REPORT = "report/report.html"


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """A second version beside the champion, whose run kept its splits."""
    return log_trained(another_adapter(tiny_model, tmp_path))


def counting(
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    counts: Counter[str],
    key: Callable[..., str],
) -> None:
    """Counts the calls of a function, which still does its work."""
    real = getattr(place, name)

    def counted(*args: Any, **options: Any) -> Any:
        counts[key(*args)] += 1
        return real(*args, **options)

    monkeypatch.setattr(place, name, counted)


def comparison_runs() -> list[Any]:
    experiments = [one.experiment_id for one in connection.client().search_experiments()]
    return list(connection.client().search_runs(experiments, "tags.`llmops.kind` = 'ab'"))


def test_the_gate_resolves_renders_and_downloads_once(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    recipe(tmp_path)
    counts: Counter[str] = Counter()
    counting(monkeypatch, versions, "pinned_version", counts, lambda *at: "/".join(at))
    publishing = sys.modules["llmops.report.publish"]
    counting(monkeypatch, publishing, "html_report", counts, lambda *_: "report")
    counting(monkeypatch, artifacts, "download", counts, lambda uri, _: uri.rpartition("/")[2])
    done = CliRunner().invoke(cli, ["gate", "bot.yaml"], standalone_mode=False)
    assert done.return_value == 0, done.output
    assert counts["bot/2"] == 1, "the candidate is resolved once"
    assert counts["report"] == 1
    assert counts["train.jsonl"] == 1
    (run,) = comparison_runs()
    assert run.info.status == "FINISHED"
    page = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/{REPORT}")
    assert run.data.tags["llmops.evidence"] in page, "with the decision"


@pytest.mark.parametrize("gated", [True, False])
def test_the_report_is_written_before_its_run_is_finished(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gated: bool
) -> None:
    ended: list[tuple[str, bool]] = []
    real = mlflow.MlflowClient.set_terminated

    def noting(self: Any, run_id: str, status: str | None = None, *rest: Any) -> None:
        if self.get_run(run_id).data.tags.get("llmops.kind") == "ab":
            names = [entry.path for entry in self.list_artifacts(run_id, "report")]
            ended.append((str(status), REPORT in names))
        real(self, run_id, status, *rest)

    monkeypatch.setattr(mlflow.MlflowClient, "set_terminated", noting)
    chosen, suite = recipe(tmp_path), load_suite(suite_file(tmp_path / "suite.jsonl"))
    if gated:
        version_of.judge(chosen.policy(), candidate.uri, suite)
    else:
        compare("tiny", candidate.uri, suite, chosen.compare)
    assert ended == [("FINISHED", True)]


@pytest.mark.parametrize("step", ["gate", "record"])
def test_a_run_that_ends_before_its_decision_is_recorded_is_not_finished(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    suite = load_suite(suite_file(tmp_path / "suite.jsonl"))
    with monkeypatch.context() as patched:
        patched.setattr(version_of, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            version_of.judge(recipe(tmp_path).policy(), candidate.uri, suite)
    (run,) = comparison_runs()
    assert run.info.status == "FAILED"
    assert mlflow.active_run() is None
    _, decision = version_of.judge(recipe(tmp_path).policy(), candidate.uri, suite)
    assert decision.passed, "the same command again succeeds"


def test_a_store_that_fails_at_the_evidence_leaves_no_verdict(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    real = mlflow.MlflowClient.log_text

    def refusing(self: Any, run_id: str, text: str, artifact_file: str) -> None:
        if artifact_file.endswith("evidence.json"):
            raise MlflowException("no room")
        real(self, run_id, text, artifact_file)

    monkeypatch.setattr(mlflow.MlflowClient, "log_text", refusing)
    suite = load_suite(suite_file(tmp_path / "suite.jsonl"))
    with pytest.raises(StoreError, match="writing the evidence: MLflow refused: no room"):
        version_of.judge(recipe(tmp_path).policy(), candidate.uri, suite)
    assert [run.info.status for run in comparison_runs()] == ["FAILED"]
    tags = connection.client().get_model_version("bot", "2").tags
    assert "verdict" not in tags


def test_a_suite_with_too_many_training_prompts_is_refused_before_anything_is_generated(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was generated")

    monkeypatch.setattr(LocalEngine, "__init__", refuse)
    path = suite_file(tmp_path / "suite.jsonl", [*HELD_OUT, f" {TRAINED[2]}\n"])
    with pytest.raises(DataError) as caught:
        version_of.judge(
            recipe(tmp_path, "gate.min_prompts=13").policy(), candidate.uri, load_suite(path)
        )
    assert str(caught.value).startswith(
        f"suite {path}: 1 of 13 prompts are in the training data of models:/bot/2"
    )
    assert "too few prompts are left to compare: 12, needed: 13" in str(caught.value)
    assert caught.value.exit_code == 2
    assert comparison_runs() == []


def test_the_same_bytes_are_refused_before_anything_is_generated(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalEngine, "__init__", pytest.fail)
    connection.client().copy_model_version(candidate.uri, "copy")
    suite = load_suite(suite_file(tmp_path / "suite.jsonl"))
    for against in (candidate.uri, "models:/copy/1"):
        with pytest.raises(UsageError, match="there is nothing to compare"):
            version_of.judge(recipe(tmp_path).policy(), candidate.uri, suite, against)
    assert comparison_runs() == []


def test_training_prompts_in_any_words_and_those_of_the_baseline_are_set_aside(
    candidate: ModelVersion, tiny_model: Path, tmp_path: Path
) -> None:
    for known in (TRAINED[2], TRAINED[2].upper()):
        path = suite_file(tmp_path / "suite.jsonl", [*HELD_OUT, known])
        comparison, decision = version_of.judge(
            recipe(tmp_path).policy(), candidate.uri, load_suite(path)
        )
        assert [row.example.id for row in comparison.trained] == ["q12"]
        assert "12 of 13 prompts count for the verdict" in comparison.notes
        assert decision.passed
    third = log_trained(another_adapter(tiny_model, tmp_path, seed=6), splits={})
    path = suite_file(tmp_path / "other.jsonl", [*HELD_OUT, TRAINED[2]])
    comparison, _ = version_of.judge(
        recipe(tmp_path).policy(), third.uri, load_suite(path), against=candidate.uri
    )
    assert [row.example.id for row in comparison.trained] == ["q12"]


def test_what_is_no_registered_version_is_refused_before_anything_is_generated(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    suite = load_suite(suite_file(tmp_path / "suite.jsonl"))
    with pytest.raises(UsageError, match="a version or an alias is missing"):
        version_of.judge(recipe(tmp_path).policy(), f"models:/{candidate.model_id}", suite)
    assert comparison_runs() == []


def test_the_report_of_a_gate_leads_with_the_metric_that_the_policy_names(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    suite = load_suite(suite_file(tmp_path / "suite.jsonl"))
    comparison, decision = version_of.judge(recipe(tmp_path).policy(), candidate.uri, suite)
    assert [one.metric for one in comparison.trajectories] == ["token_f1", "likelihood"]
    page = mlflow.artifacts.load_text(f"runs:/{comparison.run_id}/{REPORT}")
    assert "the difference of likelihood and its" in page
    assert "trajector" not in str(decision.evidence)
