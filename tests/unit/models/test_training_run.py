"""What is read of a run; `test_lineage.py` reads the whole of a version."""

from __future__ import annotations

import mlflow

from llmops.models import training_run
from llmops.models.pin import Pin
from llmops.store import runs

PIN = Pin(base="tiny", digest="b" * 64)


def test_mlflow_s_milliseconds_are_utc_text() -> None:
    assert training_run.time(0) == "1970-01-01T00:00:00Z"
    assert training_run.time(1_700_000_000_999) == "2023-11-14T22:13:20Z"
    assert training_run.time(None) is None


def test_a_run_that_is_not_here_has_its_id_only() -> None:
    found = training_run.training("ab" * 16, None)
    assert (found.id, found.name, found.params, found.metrics) == ("ab" * 16, None, {}, {})


def test_of_a_foreign_run_a_few_values_are_kept(store: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_params({f"p{i}": i for i in range(20)})
        mlflow.log_metrics({"accuracy": 0.5, "broken": float("inf")})
    found = training_run.training(run.info.run_id, runs.find_run(run.info.run_id))
    assert len(found.params) == training_run.MOST
    assert found.metrics == {"accuracy": 0.5, "broken": None}


def test_a_program_in_a_folder_of_that_machine_is_its_name_and_an_address_stays(
    store: str,
) -> None:
    for source, shown in (
        ("/home/someone/train.py", "train.py"),
        ("https://github.com/owner/repo", "https://github.com/owner/repo"),
    ):
        with mlflow.start_run(tags={"mlflow.source.name": source}) as run:
            pass
        found = training_run.training(run.info.run_id, runs.find_run(run.info.run_id))
        assert found.program == shown


def test_a_version_without_a_verdict_has_no_evidence(store: str) -> None:
    assert training_run.evidence({}, PIN) is None
    assert training_run.evidence({"llmops.evidence": "ab" * 6}, PIN) is None
    bare = training_run.evidence({"llmops.verdict": "IMPROVED"}, PIN)
    assert bare is not None
    assert (bare.verdict, bare.digest, bare.link) == ("IMPROVED", None, None)
