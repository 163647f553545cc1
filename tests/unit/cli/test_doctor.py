"""`llmops doctor` as a user meets it."""

from __future__ import annotations

import json
from typing import Any

import mlflow
from command_line import Command

from llmops.files import home
from llmops.records import BaseModel, ModelVersion
from llmops.serve.deployment.record import database


def findings(llmops: Command) -> dict[str, Any]:
    record = json.loads(llmops("doctor", "--output", "json").stdout)
    return {finding["what"]: finding for finding in record["findings"]}


def test_what_is_missing_comes_with_the_command_that_gets_it(llmops: Command, store: str) -> None:
    done = llmops("doctor")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "base models" in line]
    assert line.split() == ["missing", "base", "models", "none", "registered"]
    assert done.stdout.endswith("  Next: llmops base add smollm2-135m-instruct\n")


def test_a_base_that_is_there_is_named(llmops: Command, base: BaseModel, store: str) -> None:
    found = findings(llmops)
    assert found["base models"] == {
        "what": "base models",
        "ok": True,
        "detail": "tiny",
        "next": "",
    }
    assert (found["MLflow store"]["ok"], found["MLflow store"]["detail"]) == (True, store)
    assert found["deployments"]["detail"] == "none"
    assert all(name in found["packages"]["detail"] for name in ("mlflow", "transformers", "peft"))


def test_a_store_that_does_not_answer_is_a_finding_like_others(llmops: Command, store: str) -> None:
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    found = findings(llmops)
    assert not found["MLflow store"]["ok"]
    assert "http://127.0.0.1:9: not reachable" in found["MLflow store"]["detail"]
    assert "mlflow server" in found["MLflow store"]["next"]
    assert "base models" not in found


def test_a_damaged_state_of_deployments_is_a_finding_like_others(
    llmops: Command, store: str
) -> None:
    database.path().write_bytes(b"no database" * 500)
    found = findings(llmops)["deployments"]
    assert not found["ok"]
    assert "state.db: damaged" in found["detail"]
    assert found["next"].startswith("mv ")


def test_what_killed_processes_left_is_shown_and_can_be_removed(
    llmops: Command, base: BaseModel, store: str
) -> None:
    assert findings(llmops)["leftovers"]["detail"] == "none"
    run = mlflow.start_run(tags={"llmops.unfinished": "t" * 32})
    folder = home.folder("staging") / "abandoned"
    folder.mkdir()
    notes = {"run_token": "t" * 32, "run_tracking": store}
    (folder / "notes.json").write_text(json.dumps(notes), encoding="utf-8")
    found = findings(llmops)["leftovers"]
    assert (found["ok"], found["next"]) == (True, "llmops cache gc")
    assert f"{folder}, and its open run in {store}" in found["detail"]
    assert f"open run {run.info.run_id}" in llmops("cache", "gc").stdout
    assert mlflow.get_run(run.info.run_id).info.status == "KILLED"
    assert findings(llmops)["leftovers"]["detail"] == "none"


def test_a_base_with_a_forged_tag_is_a_finding(
    llmops: Command, version: ModelVersion, store: str
) -> None:
    mlflow.MlflowClient().set_model_version_tag("bot", "1", "llmops.kind", "base")
    found = findings(llmops)["MLflow store"]
    assert not found["ok"]
    assert "the tag llmops.kind says that it is a base" in found["detail"]
    assert "delete_model_version_tag" in found["next"]
