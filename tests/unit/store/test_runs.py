from __future__ import annotations

import mlflow
import pytest

from llmops.errors import StoreError
from llmops.store import connection, runs


def test_a_resumed_run_ends_as_its_block_does(store: str) -> None:
    with mlflow.start_run() as run:
        pass
    run_id = run.info.run_id
    with runs.resumed_run(run_id):
        assert mlflow.active_run().info.run_id == run_id
    assert mlflow.active_run() is None
    assert connection.client().get_run(run_id).info.status == "FINISHED"
    with pytest.raises(KeyError), runs.resumed_run(run_id):
        raise KeyError
    assert mlflow.active_run() is None
    assert connection.client().get_run(run_id).info.status == "FAILED"


def test_a_run_gets_the_name_that_the_page_shows(store: str) -> None:
    with mlflow.start_run(run_name="before") as run:
        pass
    runs.rename_run(run.info.run_id, "v1 train")
    assert connection.client().get_run(run.info.run_id).info.run_name == "v1 train"


def test_a_run_is_found_by_the_beginning_of_its_evidence_in_any_experiment(store: str) -> None:
    with mlflow.start_run(tags={"llmops.evidence": "abc123" + "0" * 58}):
        pass
    mlflow.set_experiment("another")
    with mlflow.start_run(tags={"llmops.evidence": "abd456" + "0" * 58}) as other:
        pass
    for digits in (12, 64):
        found = runs.run_of_evidence(("abd456" + "0" * 58)[:digits])
        assert found == other.info.run_id
    assert runs.run_of_evidence("f" * 12) is None


@pytest.mark.parametrize(
    "prefix", ["", "a", "abd456", "%", "abd4560000%0", "ABD456000000", "a" * 65, "' or '1'='1"]
)
def test_what_is_no_beginning_of_a_digest_finds_nothing(store: str, prefix: str) -> None:
    with mlflow.start_run(tags={"llmops.evidence": "abd456" + "0" * 58}):
        pass
    assert runs.run_of_evidence(prefix) is None


def test_what_is_not_there_is_none(store: str) -> None:
    assert runs.find_run("0" * 32) is None
    assert runs.find_logged_model("m-" + "0" * 32) is None
    with pytest.raises(StoreError, match=r"run 0{32}: MLflow refused"):
        runs.rename_run("0" * 32, "x")


def test_a_training_without_a_model_has_an_output_that_no_page_lists(store: str) -> None:
    with mlflow.start_run() as run:
        runs.mark_as_training(run.info.run_id)
        runs.mark_as_training(run.info.run_id)
    (output,) = connection.client().get_run(run.info.run_id).outputs.model_outputs
    listed = connection.client().search_logged_models([run.info.experiment_id])
    assert output.model_id not in [model.model_id for model in listed]


def test_the_pace_is_that_of_the_slowest_finished_comparison(store: str) -> None:
    assert runs.measured_pace("bot") is None, "no experiment"
    mlflow.set_experiment("bot")
    assert runs.measured_pace("bot") is None, "no comparison"
    for kind, pace, status in (
        ("ab", "0.5", "FINISHED"),
        ("ab", "2.5", "FINISHED"),
        ("ab", "9", "FAILED"),
        ("training", "7", "FINISHED"),
        ("ab", None, "FINISHED"),
    ):
        mlflow.start_run(tags={"llmops.kind": kind})
        if pace is not None:
            mlflow.log_param("seconds_per_prompt", pace)
        mlflow.end_run(status)
    assert runs.measured_pace("bot") == 2.5
