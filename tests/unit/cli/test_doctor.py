"""`llmops doctor` as a user meets it."""

from __future__ import annotations

import json
from typing import Any

import mlflow
from command_line import Command

from llmops.records import BaseModel


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
