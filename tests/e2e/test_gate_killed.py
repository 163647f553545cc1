"""A gate that is killed: its question stands in MLflow, and the same command goes on as the same push."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest
from trained import another_adapter, log_trained, recipe_file

from llmops.files import home
from llmops.records import ModelVersion

AT = {
    "before the first answer": "from llmops.engine.local.engine import LocalEngine as at; name = '__init__'",
    "while answers are kept": "from llmops.compare.cache import ResultCache as at; name = 'put'",
    "before the evidence": "import llmops.gate.evidence.record as at; name = '_write_run'",
    "before the version bears it": "import llmops.gate.evidence.record as at; name = 'show_on_version'",
}
KILLED = """
import os, signal, sys
{at}
setattr(at, name, lambda *a, **b: os.kill(os.getpid(), signal.SIGKILL))
from llmops.cli.main import main
main()
"""


def gate(*options: str, at: str | None = None) -> subprocess.CompletedProcess[str]:
    start = ["-m", "llmops"] if at is None else ["-c", KILLED.format(at=AT[at])]
    line = [sys.executable, *start, "gate", "bot.yaml", "--output", "json", *options]
    return subprocess.run(line, capture_output=True, text=True, timeout=240, check=False)


def runs() -> list[Any]:
    """The comparisons, the oldest first."""
    found = mlflow.MlflowClient().search_experiments()
    ids = [one.experiment_id for one in found]
    both = mlflow.MlflowClient().search_runs(ids, "tags.`llmops.kind` = 'ab'")
    return sorted(both, key=lambda run: run.info.start_time)


def llmops(*arguments: str) -> str:
    line = [sys.executable, "-m", "llmops", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=240, check=False).stdout


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    recipe_file(tmp_path)
    return log_trained(another_adapter(tiny_model, tmp_path))


@pytest.mark.parametrize("at", AT)
def test_a_killed_gate_goes_on_as_the_same_push(candidate: ModelVersion, at: str) -> None:
    assert gate(at=at).returncode == -signal.SIGKILL
    (run,) = runs()
    tags = run.data.tags
    assert run.info.status == "RUNNING"
    assert (tags["llmops.push"], tags["llmops.line"]) == ("1", "bot/local")
    assert len(tags["llmops.frozen"]) == len(tags["llmops.question"]) == 64
    kept = mlflow.MlflowClient().list_artifacts(run.info.run_id, "frozen")
    assert [one.path for one in kept] == ["frozen/frozen.json", "frozen/suite.jsonl"]
    if at == "before the first answer":
        assert not run.data.metrics

    for lock in home.folder("staging").glob("*.lock"):
        os.utime(lock, (time.time() - 60, time.time() - 60))
    assert run.info.run_id in llmops("doctor") + llmops("cache", "gc")
    assert runs()[0].info.status == "KILLED"

    again = gate()
    assert again.returncode == 0, again.stderr
    decision = json.loads(again.stdout)["decision"]
    assert (decision["budget"]["push"], decision["verdict"]) == (1, "NOT_WORSE")
    decided = at == "before the version bears it"  # the evidence was whole
    assert len(runs()) == (1 if decided else 2)
    assert runs()[-1].data.tags["llmops.push"] == "1"
    version = mlflow.MlflowClient().get_model_version("bot", candidate.version)
    assert version.tags["llmops.evidence"] == decision["evidence_digest"][:12]
    assert "promoted" not in llmops("evidence", "verify", candidate.uri)


def test_what_was_decided_is_not_asked_again_unless_fresh(candidate: ModelVersion) -> None:
    first = json.loads(gate("--line", "pr-7").stdout)
    repeated = gate("--line", "pr-7")
    second = json.loads(repeated.stdout)
    assert (repeated.returncode, second["reused"], second["run_id"]) == (0, True, first["run_id"])
    assert second["decision"]["budget"] == first["decision"]["budget"]
    assert "decided before, in run" in repeated.stderr
    assert "compare:" not in repeated.stderr
    assert len(runs()) == 1
    fresh = json.loads(gate("--line", "pr-7", "--fresh").stdout)
    assert [one["decision"]["budget"]["push"] for one in (first, fresh)] == [1, 2]
    alpha = fresh["decision"]["budget"]["alpha_k"]
    assert fresh["metrics"][0]["confidence"] == pytest.approx(1 - alpha)
    assert [run.data.tags["llmops.push"] for run in runs()] == ["1", "2"]
