"""A repository, a tracking server and the quickstart: what a team sees from its first pull request on."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pytest
from servers import BIN, environment, mlflow_server

from llmops.files import digest
from llmops.models.proof.schema import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_800)]

ROOT = Path(__file__).parents[2]
POLICY = """\
schema_version: 1
model: bot
suite: held-out.jsonl
compare: {max_tokens: 8, traces: false}
gate:
  require:
    - {metric: likelihood, must: improve}
"""
STEPS = "train.max_steps=10"
"""Enough for a gain that nobody can miss, and a minute of training."""


@dataclass
class Team:
    """A clone on a branch, with a home of its own and a server that others share."""

    folder: Path
    env: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)

    def call(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(BIN / "llmops"), *command],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (
            f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr
        return done

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(
            ["git", *who, *arguments],
            cwd=self.folder,
            env=self.env,
            check=True,
            capture_output=True,
        )

    def branch(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Commit a change of the data on a branch of its own."""
        self.git("checkout", "-q", "-f", "-B", name, "main")
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / "bot" / "rows.jsonl").write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", name)

    def train(self, name: str, *overrides: str) -> str:
        """Train on the branch's data, and return the version."""
        done = self.call("train", "bot", STEPS, *overrides, "--output", "json")
        self.versions[name] = json.loads(done.stdout)["version"]
        return self.versions[name]

    def gate(self, version: str, code: int, *options: str) -> tuple[str, dict[str, Any]]:
        """Judge a version by the repository's policy; return stderr and the result."""
        done = self.call(
            *("gate", "--policy", "gate.yaml", "--candidate", version),
            *("--summary", "gate.md", "--output", "json", *options),
            code=code,
        )
        return done.stderr, json.loads(done.stdout) if done.stdout else {}

    @property
    def summary(self) -> str:
        return (self.folder / "gate.md").read_text(encoding="utf-8")


def rows_of(split: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in split.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The main branch: recipe, policy and held-out prompts, and a first champion."""
    folder, server = tmp_path_factory.mktemp("team"), tmp_path_factory.mktemp("server")
    with mlflow_server(server, "--artifacts-destination", str(server / "artifacts")) as url:
        own = environment(
            LLMOPS_HOME=str(folder / "home"), MLFLOW_TRACKING_URI=url, OMP_NUM_THREADS="2"
        )
        made = Team(folder / "clone", own)
        made.folder.mkdir()
        made.call("recipes", "cp", "quickstart", "bot")
        made.call("data", "quickstart", "--out", "split")
        shutil.copy(made.folder / "split" / "test.jsonl", made.folder / "held-out.jsonl")
        (made.folder / "gate.yaml").write_text(POLICY, encoding="utf-8")
        recipe = made.folder / "bot" / "recipe.yaml"
        text = re.sub(r"(?m)^name: .*$", "name: bot", recipe.read_text(encoding="utf-8"))
        text = text.replace("model: quickstart", "model: bot")
        text = text.replace("source: stdlib_docstrings", "source: file\n  path: rows.jsonl\n  #")
        recipe.write_text(text, encoding="utf-8")
        made.git("init", "-q", "-b", "main")
        made.git("commit", "-q", "--allow-empty", "-m", "first")
        yield made


def training_rows(team: Team) -> list[dict[str, Any]]:
    return [
        {"prompt": row["prompt"], "completion": row["completion"]}
        for row in rows_of(team.folder / "split" / "train.jsonl")
    ]


def test_1_a_policy_is_checked_before_anything_is_spent(team: Team) -> None:
    assert "28 clusters can show it" in team.call("validate", "gate.yaml").stdout
    team.branch("main", training_rows(team))
    version = team.train("good")
    planned = team.call("gate", "--policy", "gate.yaml", "--candidate", version, "--dry-run")
    assert "nothing was generated" in planned.stdout


def test_2_a_good_change_passes_and_is_promoted(team: Team) -> None:
    stderr, found = team.gate(team.versions["good"], 0)
    assert found["decision"]["verdict"] == "IMPROVED"
    assert "gate: PASSED: " in stderr
    assert team.summary.startswith("## ✅ PASSED")
    promoted = team.call("promote", team.versions["good"])
    assert promoted.stdout == f"@champion now points to {team.versions['good']}\n"
    history = team.call("history", "bot", "--output", "json").stdout
    assert json.loads(history)["history"][-1]["version"] == "1"
    verified = team.call("evidence", "verify", "models:/bot@champion").stdout
    assert "TAMPERED" not in verified


def test_3_shuffled_answers_are_rejected(team: Team) -> None:
    rows = training_rows(team)
    answers = [row["completion"] for row in rows]
    random.Random(0).shuffle(answers)
    team.branch(
        "shuffled",
        [{**row, "completion": answer[::-1]} for row, answer in zip(rows, answers, strict=True)],
    )
    stderr, found = team.gate(team.train("shuffled"), 3)
    assert found["decision"]["verdict"] == "REGRESSED"
    assert team.summary.startswith("## ❌ REJECTED")
    refused = team.call("promote", team.versions["shuffled"], code=2)
    assert "REGRESSED, which the policy does not accept" in refused.stderr
    assert "gate: REJECTED: " in stderr
    assert "**Error budget:** push 1 of line shuffled: judged at alpha 0.03;" in team.summary


def test_4_a_change_too_small_to_see_is_inconclusive_and_says_what_would_decide(team: Team) -> None:
    team.branch("small", training_rows(team))
    version = team.train("small", "train.learning_rate=3.01e-4")
    _, found = team.gate(version, 4)
    assert found["decision"]["verdict"] == "INCONCLUSIVE"
    would = r"\*\*Would decide it:\*\* (about [\d,]+ prompts|no number of)"
    assert re.search(would, team.summary), team.summary


def test_5_the_same_bytes_again_are_not_asked_again(team: Team) -> None:
    stderr, found = team.gate(team.versions["small"], 4)
    assert found["reused"] is True
    assert "nothing is asked or spent" in stderr


def test_6_held_out_prompts_in_the_training_data_are_refused(team: Team) -> None:
    leaked = [
        {"prompt": row["prompt"], "completion": row["completion"]}
        for row in rows_of(team.folder / "held-out.jsonl")
    ]
    team.branch("leak", leaked * 3)
    version = team.train("leak", "train.max_steps=2")
    stderr, found = team.gate(version, 2)
    assert not found
    assert "few prompts are left to compare" in stderr


def test_7_a_policy_that_is_loosened_after_the_run_is_tampered(team: Team) -> None:
    """Whoever may write artifacts and tags rewrites the evidence, digests included."""
    version = team.versions["small"]
    client = mlflow.MlflowClient(team.env["MLFLOW_TRACKING_URI"])
    noted = client.get_model_version("bot", version.rpartition("/")[2]).tags["llmops.evidence"]
    (experiment,) = [e for e in client.search_experiments() if e.name == "bot"]
    (run,) = [
        run
        for run in client.search_runs([experiment.experiment_id])
        if run.data.tags.get("llmops.evidence", "").startswith(noted)
    ]
    place = team.folder.parent / "forged" / "evidence.json"
    place.parent.mkdir()
    path = client.download_artifacts(run.info.run_id, "report/evidence.json", str(place.parent))
    evidence = json.loads(Path(path).read_text())
    evidence["policy"]["require"][0].update(must="not_regress", margin=0.9)
    plain = {k: v for k, v in evidence["policy"].items() if k not in ("digest", "bound")}
    evidence["policy"]["digest"] = digest.of_record(plain)
    evidence["checks"][0].update(must="not_regress", margin=0.9, verdict="NOT_WORSE", passed=True)
    evidence.update(verdict="NOT_WORSE", passed=True)
    evidence["sha256"] = digest_of(evidence)
    place.write_text(json.dumps(evidence))
    client.log_artifact(run.info.run_id, str(place), "report")
    client.set_tag(run.info.run_id, "llmops.evidence", evidence["sha256"])
    number = version.rpartition("/")[2]
    client.set_model_version_tag("bot", number, "llmops.evidence", evidence["sha256"][:12])
    refused = team.call("promote", version, code=1)
    assert "TAMPERED" in refused.stderr
    assert "policy" in refused.stderr
    checked = team.call("evidence", "verify", version, code=1)
    assert "TAMPERED" in checked.stdout
    assert (
        json.loads(team.call("history", "bot", "--output", "json").stdout)["history"][-1]["version"]
        == "1"
    )


def test_8_a_hand_moved_alias_is_found_and_put_back(team: Team) -> None:
    client = mlflow.MlflowClient(team.env["MLFLOW_TRACKING_URI"])
    moved = team.versions["shuffled"].rpartition("/")[2]
    client.set_registered_model_alias("bot", "champion", moved)
    audit = team.call("audit", "bot", code=3)
    assert "moved by hand" in audit.stdout
    team.call("promote", team.versions["good"])
    team.call("audit", "bot")
