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

from llmops import pipeline
from llmops.cli.main import cli
from llmops.compare import compare, load_suite
from llmops.engine.local.engine import LocalEngine
from llmops.errors import DataError, LlmopsError, StoreError, UsageError
from llmops.models import versions
from llmops.records import ModelVersion
from llmops.store import artifacts, connection, registry

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
        pipeline.judge(chosen.policy(), candidate.uri, suite)
    else:
        compare("tiny", candidate.uri, suite, chosen.compare)
    assert ended == [("FINISHED", True)]


@pytest.mark.parametrize("step", ["decide", "record"])
def test_a_run_that_ends_before_its_decision_is_recorded_is_not_finished(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    suite = load_suite(suite_file(tmp_path / "suite.jsonl"))
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            pipeline.judge(recipe(tmp_path).policy(), candidate.uri, suite)
    (run,) = comparison_runs()
    assert run.info.status == "FAILED"
    assert mlflow.active_run() is None
    _, decision = pipeline.judge(recipe(tmp_path).policy(), candidate.uri, suite)
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
        pipeline.judge(recipe(tmp_path).policy(), candidate.uri, suite)
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
        pipeline.judge(
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
            pipeline.judge(recipe(tmp_path).policy(), candidate.uri, suite, against)
    assert comparison_runs() == []


def test_training_prompts_in_any_words_and_those_of_the_baseline_are_set_aside(
    candidate: ModelVersion, tiny_model: Path, tmp_path: Path
) -> None:
    for known in (TRAINED[2], TRAINED[2].upper()):
        path = suite_file(tmp_path / "suite.jsonl", [*HELD_OUT, known])
        comparison, decision = pipeline.judge(
            recipe(tmp_path).policy(), candidate.uri, load_suite(path)
        )
        assert [row.example.id for row in comparison.trained] == ["q12"]
        assert "12 of 13 prompts count for the verdict" in comparison.notes
        assert decision.passed
    third = log_trained(another_adapter(tiny_model, tmp_path, seed=6), splits={})
    path = suite_file(tmp_path / "other.jsonl", [*HELD_OUT, TRAINED[2]])
    comparison, _ = pipeline.judge(
        recipe(tmp_path).policy(), third.uri, load_suite(path), against=candidate.uri
    )
    assert [row.example.id for row in comparison.trained] == ["q12"]


def test_what_is_no_registered_version_is_refused_before_anything_is_generated(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    suite = load_suite(suite_file(tmp_path / "suite.jsonl"))
    with pytest.raises(UsageError, match="a version or an alias is missing"):
        pipeline.judge(recipe(tmp_path).policy(), f"models:/{candidate.model_id}", suite)
    assert comparison_runs() == []


def test_the_report_of_a_gate_leads_with_the_metric_that_the_policy_names(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    suite = load_suite(suite_file(tmp_path / "suite.jsonl"))
    comparison, decision = pipeline.judge(recipe(tmp_path).policy(), candidate.uri, suite)
    assert [one.metric for one in comparison.trajectories] == ["token_f1", "likelihood"]
    page = mlflow.artifacts.load_text(f"runs:/{comparison.run_id}/{REPORT}")
    assert "the difference of likelihood and its" in page
    assert "trajector" not in str(decision.evidence)


def test_a_check_for_pytest_is_true_or_prints_the_summary(
    candidate: ModelVersion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import llmops

    recipe(tmp_path)
    passed = llmops.gate.check(candidate.uri, "bot.yaml")
    assert passed
    assert repr(passed).startswith("<PASSED: ")
    assert "## ✅ PASSED" not in capsys.readouterr().err
    lost = llmops.gate.check(
        candidate.uri,
        recipe(tmp_path, "gate.require=[{metric: likelihood, must: improve, margin: 0.9}]"),
        suite=suite_file(tmp_path / "suite.jsonl"),
    )
    assert not lost
    assert repr(lost).startswith("<REJECTED: ")
    assert str(lost).startswith("## ❌ REJECTED: ")
    assert str(lost) in capsys.readouterr().err, "pytest shows it below the failed assert"
    with pytest.raises(LlmopsError, match="no such version"):
        llmops.gate.check("models:/bot/77", "bot.yaml")
    with pytest.raises(AttributeError, match="no attribute 'chekc'"):
        llmops.gate.chekc  # noqa: B018


def test_python_goes_from_a_comparison_to_a_champion(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    import llmops
    from llmops.recipe import Gate, Requirement

    rows = [
        {"prompt": f"Where is file {i} of the shelf?", "expected": f"In box {i}."}
        for i in range(12)
    ]

    def ends(answer: str) -> bool:
        return answer.endswith(".")

    found = llmops.compare(
        "models:/bot@champion", candidate.uri, rows, scorers=["likelihood", ends], max_tokens=4
    )
    assert [result.metric for result in found.metrics] == ["likelihood", "ends"]
    policy = Gate(require=(Requirement(metric="likelihood", margin=0.9),), min_prompts=5)
    decision = llmops.gate(found, policy)
    assert decision.passed
    run = connection.client().get_run(found.run_id)
    assert run.data.tags["llmops.evidence"] == decision.evidence_digest
    assert llmops.promote(candidate.uri) == candidate.uri
    assert registry.version_of_alias("bot", "champion") == "2"


def test_a_version_that_was_not_compared_is_compared_first(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    import llmops
    from llmops.recipe import Gate, Requirement

    chosen, suite = recipe(tmp_path), suite_file(tmp_path / "suite.jsonl")
    assert llmops.gate(candidate.uri, chosen, suite=suite).passed
    policy = Gate(require=(Requirement(metric="likelihood", margin=0.9),))
    for given, held_out in ((policy, suite), (chosen, None)):
        with pytest.raises(UsageError, match="is not compared yet") as error:
            llmops.gate(candidate.uri, given, suite=held_out)
        assert "llmops.compare" in str(error.value.next_command)
