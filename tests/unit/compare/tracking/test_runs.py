"""A comparison in MLflow: a parent, a child for each side, and a report before the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import mlflow
import pytest
from report_records import comparison, side

from llmops.compare.tracking.runs import log_comparisons, opened_run, publish_reports
from llmops.errors import StoreError
from llmops.records import Comparison, Suite
from llmops.store import connection

REPORT = "report/report.html"


def without_models(made: Comparison) -> Comparison:
    """A comparison that has no run yet, of sides without logged models."""
    sides = {
        which: replace(getattr(made, which), model_id=None) for which in ("baseline", "candidate")
    }
    return replace(made, run_id="", child_run_ids=("", ""), **sides)


@pytest.fixture
def one(store: str) -> Comparison:
    return without_models(comparison())


def suite_of(made: Comparison) -> Suite:
    return Suite("stdlib-docs-test", None, "ef" * 32, tuple(row.example for row in made.rows))


@contextmanager
def comparison_runs(
    comparisons: Sequence[Comparison], suite: Suite, parameters: Mapping[str, object], **how: bool
) -> Iterator[tuple[Comparison, ...]]:
    """Opens the run, writes the comparisons and leaves it open for the block."""
    first = comparisons[0].baseline
    with opened_run([first, *(one.candidate for one in comparisons)]) as parent:
        yield log_comparisons(parent, comparisons, suite, parameters, **how)


def run(run_id: str) -> Any:
    return connection.client().get_run(run_id)


def test_the_parent_is_open_for_the_block_and_finished_after_it(one: Comparison) -> None:
    with comparison_runs([one], suite_of(one), {"method": "fixed"}, traces=False) as (logged,):
        assert run(logged.run_id).info.status == "RUNNING"
        assert mlflow.active_run().info.run_id == logged.run_id
        assert not logged.traced
        publish_reports([logged])
    parent = run(logged.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "docstring-bot/3 vs docstring-bot/2"
    assert parent.data.tags["llmops.kind"] == "ab"
    assert parent.data.params == {"method": "fixed", "suite_digest": "ef" * 32}
    assert parent.data.metrics["delta/token_f1"] == pytest.approx(0.208)
    assert logged.run_id in mlflow.artifacts.load_text(f"runs:/{logged.run_id}/{REPORT}")
    names = [run(child).info.run_name for child in logged.child_run_ids]
    assert names == ["docstring-bot/2", "docstring-bot/3"]
    assert mlflow.active_run() is None


def test_a_block_that_raises_leaves_a_failed_run(one: Comparison) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        comparison_runs([one], suite_of(one), {}, traces=False) as (logged,),
    ):
        raise ZeroDivisionError
    assert run(logged.run_id).info.status == "FAILED"
    assert mlflow.active_run() is None


def test_several_candidates_have_a_report_each(one: Comparison) -> None:
    other = without_models(comparison(candidate=side("v4")))
    with comparison_runs([one, other], suite_of(one), {}, traces=False) as logged:
        publish_reports(logged)
    assert len({each.run_id for each in logged}) == 1
    assert (
        run(logged[0].run_id).info.run_name == "docstring-bot/3, docstring-bot/4 vs docstring-bot/2"
    )
    assert not connection.client().list_artifacts(logged[0].run_id, "report")
    for each in logged:
        child = each.child_run_ids[1]
        page = mlflow.artifacts.load_text(f"runs:/{child}/{REPORT}")
        assert f"<title>{each.candidate.name} vs docstring-bot/2" in page
        assert run(child).data.metrics["delta/token_f1"] == pytest.approx(0.208)


def test_within_a_run_of_somebody_else_it_is_nested(one: Comparison) -> None:
    with mlflow.start_run() as outer:
        with comparison_runs([one], suite_of(one), {}, traces=False) as (logged,):
            pass
        assert mlflow.active_run().info.run_id == outer.info.run_id, "the other goes on"
    assert run(logged.run_id).data.tags["mlflow.parentRunId"] == outer.info.run_id


def test_rows_that_mlflow_lost_are_an_error(
    one: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mlflow.load_table
    monkeypatch.setattr(mlflow, "load_table", lambda *at, **how: real(*at, **how)[1:])
    with (
        pytest.raises(StoreError, match=r"answers\.json holds 11 rows, 12 were written"),
        comparison_runs([one], suite_of(one), {}, traces=False),
    ):
        raise AssertionError("the block must not begin")
    assert mlflow.active_run() is None


def test_a_store_that_refuses_is_named(one: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("no room")

    monkeypatch.setattr(mlflow, "log_table", refuse)
    with (
        pytest.raises(StoreError, match="logging the comparison: MLflow refused: no room"),
        comparison_runs([one], suite_of(one), {}, traces=False),
    ):
        raise AssertionError("the block must not begin")
