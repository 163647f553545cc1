"""Each exit code of ``llmops gate`` from a real process, and what it leaves for CI."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from servers import environment
from trained import another_adapter, log_trained, recipe_file

from llmops.records import ModelVersion
from llmops.store import registry

SECONDS = 180
COMMAND = [sys.executable, "-W", "ignore", "-m", "llmops", "gate", "bot.yaml"]
FILES = ["--junit", "g.xml", "--summary", "g.md", "--json", "g.json"]
PASS = "require: [{metric: likelihood, must: not_regress, margin: 0.9}]"
LOSE = "require: [{metric: likelihood, must: improve, margin: 0.9}]"
OPEN = "require: [{metric: token_f1, must: improve}]"


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    recipe_file(tmp_path)
    return log_trained(another_adapter(tiny_model, tmp_path))


def started(folder: Path, demand: str, *options: str, **changes: str) -> subprocess.Popen[str]:
    recipe = folder / "bot.yaml"
    text, times = re.subn(r"require: \[.*?\]", demand, recipe.read_text())
    assert times == 1
    recipe.write_text(text)
    return subprocess.Popen(
        [*COMMAND, *FILES, *options],
        cwd=folder,
        env=environment(GITHUB_STEP_SUMMARY=str(folder / "step.md"), **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left(folder: Path) -> tuple[str | None, set[str], str]:
    """Status in the JSON, the types of failures and errors in JUnit, the summary's first line."""
    record = json.loads((folder / "g.json").read_text())
    decision = record.get("decision")
    cases = ElementTree.parse(folder / "g.xml").getroot().iter("testcase")
    kinds = {
        f"{part.tag} {part.get('type')}" for case in cases for part in case if part.get("type")
    }
    return decision and decision["status"], kinds, (folder / "g.md").read_text().splitlines()[0]


ENDS = {
    "passed": (0, [PASS], {}, "PASSED", set(), "## ✅ PASSED"),
    "failure": (
        1,
        [PASS],
        {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
        None,
        {"error StoreError"},
        "## ⚠️ No verdict",
    ),
    "usage": (
        2,
        [PASS, "--candidate", "models:/bot/77"],
        {},
        None,
        {"error NotFoundError"},
        "## ⚠️ No verdict",
    ),
    "rejected": (3, [LOSE], {}, "REJECTED", {"failure rejected"}, "## ❌ REJECTED"),
    "inconclusive": (4, [OPEN], {}, "INCONCLUSIVE", {"failure inconclusive"}, "## ❔ INCONCLUSIVE"),
}


@pytest.mark.parametrize(
    ("code", "arguments", "changes", "status", "kinds", "head"), ENDS.values(), ids=ENDS.keys()
)
def test_a_gate_that_ends(
    candidate: ModelVersion,
    tmp_path: Path,
    code: int,
    arguments: list[str],
    changes: dict[str, str],
    status: str | None,
    kinds: set[str],
    head: str,
) -> None:
    process = started(tmp_path, *arguments, **changes)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, err
    found = left(tmp_path)
    assert found[:2] == (status, kinds)
    assert found[2].startswith(head)
    assert (tmp_path / "step.md").read_text().startswith(head)
    assert (f"gate: {status}: " in err) == (status is not None)
    assert ("Next: llmops promote" in out) == (code == 0)
    assert "Traceback" not in err
    assert registry.version_of_alias("bot", "champion") == "1"


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["Ctrl-C", "cancelled", "kill -9"],
)
def test_a_gate_that_is_ended(
    candidate: ModelVersion, tmp_path: Path, number: int, code: int
) -> None:
    process = started(tmp_path, PASS)
    deadline = time.monotonic() + SECONDS
    while not (tmp_path / "g.json").exists():  # the last file of those that say: not finished
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, err
    status, kinds, head = left(tmp_path)
    assert status is None
    assert {kind.split()[0] for kind in kinds} == {"error"}
    assert head == "## ⚠️ No verdict was reached"
    page = tmp_path / "step.md"
    assert page.exists() == (code == 130)
