"""``llmops gate``: exit codes, suites and what is printed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner, Result
from trained import HELD_OUT, TRAINED, another_adapter, log_trained, recipe_file, suite_file

from llmops.cli.main import cli
from llmops.errors import LlmopsError
from llmops.files import home
from llmops.gate.signature import make_keys
from llmops.gate.verify import verify
from llmops.records import ModelVersion
from llmops.store import registry


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """Version 2 at the recipe's alias, beside the champion."""
    recipe_file(tmp_path)
    return log_trained(another_adapter(tiny_model, tmp_path))


def gate(*arguments: str) -> Result:
    """What the console script gets: the exit code is the command's return value."""
    return CliRunner().invoke(cli, ["gate", "bot.yaml", *arguments], standalone_mode=False)


@pytest.mark.parametrize(
    ("demand", "code"),
    [
        ("{metric: likelihood, must: not_regress, margin: 0.9}", 0),
        ("{metric: likelihood, must: improve, margin: 0.9}", 3),
        ("{metric: token_f1, must: improve}", 4),
    ],
    ids=["passed", "rejected", "inconclusive"],
)
def test_the_exit_code_is_the_verdict_and_no_alias_moves(
    candidate: ModelVersion, demand: str, code: int
) -> None:
    done = gate(f"gate.require=[{demand}]", "--output", "json")
    assert done.return_value == code, done.output
    shown = json.loads(done.stdout)
    assert shown["candidate"]["uri"] == candidate.uri
    assert shown["baseline"]["uri"] == "models:/bot/1"
    assert shown["suite"]["name"] == "bot-test"
    assert shown["suite"]["prompts"] == len(HELD_OUT), "the test split of its training run"
    assert "trajectories" not in shown
    assert registry.version_of_alias("bot", "champion") == "1"


def test_candidate_and_suite_can_be_named(candidate: ModelVersion, tmp_path: Path) -> None:
    suite = suite_file(tmp_path / "mine.jsonl", HELD_OUT[:8])
    done = gate("--candidate", candidate.uri, "--suite", str(suite))
    assert done.return_value == 0, done.output
    assert "8 paired prompts of mine" in done.stdout
    page, needs, version, report, then = done.stdout.splitlines()[-5:]
    assert page.startswith("Run: http://127.0.0.1:5000/#/experiments/")
    assert needs.startswith("     needs: mlflow server --backend-store-uri sqlite:///")
    assert version == "Version: http://127.0.0.1:5000/#/models/bot/versions/2"
    assert report == f"Report: {page.removeprefix('Run: ')}/artifacts/report/report.html"
    assert then == f"Next: llmops promote {candidate.uri}"
    assert "gate: PASSED: " in done.stderr, "where stdout went to a file, the log has the verdict"


def test_the_next_command_names_the_alias_of_the_policy(candidate: ModelVersion) -> None:
    demand = "gate.require=[{metric: likelihood, must: not_regress, margin: 0.9}]"
    done = gate(demand, "gate.on_pass=live", "compare.baseline=models:/bot/1")
    assert f"Next: llmops promote {candidate.uri} --to live" in done.stdout
    refused = gate("gate.require=[{metric: token_f1, must: improve}]")
    assert "Next: llmops promote" not in refused.stdout
    assert "Run: http" in refused.stdout


def test_the_champion_is_not_judged_against_itself(candidate: ModelVersion, tmp_path: Path) -> None:
    suite = suite_file(tmp_path / "mine.jsonl", HELD_OUT[:8])
    error = gate("--candidate", "models:/bot/1", "--suite", str(suite)).exception
    assert isinstance(error, LlmopsError)
    assert error.exit_code == 2
    assert "models:/bot/1 is named twice: there is nothing to compare" in str(error)


def test_what_it_was_trained_on_is_set_aside(candidate: ModelVersion, tmp_path: Path) -> None:
    suite = suite_file(tmp_path / "mine.jsonl", [*HELD_OUT, *TRAINED])
    done = gate("--suite", str(suite), "--output", "json")
    assert done.return_value == 0, done.output
    notes = " ".join(json.loads(done.stdout)["notes"])
    assert "6 of 18 prompts are in the training data of models:/bot/2" in notes
    assert "12 of 18 prompts count for the verdict" in notes
    error = gate("--suite", str(suite), "gate.min_prompts=13").exception
    assert isinstance(error, LlmopsError)
    assert error.exit_code == 2
    assert "too few prompts are left to compare: 12, needed: 13" in str(error)


def test_a_gate_leaves_no_temporary_folder(candidate: ModelVersion, tmp_path: Path) -> None:
    assert gate().return_value == 0
    assert list(home.folder("staging").iterdir()) == []


def test_a_version_without_a_test_split_needs_a_suite(
    version: ModelVersion, tmp_path: Path
) -> None:
    recipe_file(tmp_path)
    error = gate("--candidate", version.uri).exception
    assert isinstance(error, LlmopsError)
    assert error.exit_code == 2
    assert "its training run kept no test split" in str(error)


def test_cached_answers_that_were_edited_do_not_decide(candidate: ModelVersion) -> None:
    demand = "gate.require=[{metric: likelihood, must: improve, margin: 0.5}]"
    honest = gate(demand, "--output", "json")
    better = json.dumps([-0.001, 5])
    with closing(sqlite3.connect(home.folder("cache") / "results.sqlite")) as db:
        edited = db.execute("update result set value = ? where value like '[%'", [better]).rowcount
        db.commit()
    assert edited > 0
    again = gate(demand, "--fresh", "--output", "json")
    assert again.return_value == honest.return_value == 3, again.output
    assert (
        f"warning: {home.folder('cache') / 'results.sqlite'}: {edited} cached results"
        in again.stderr
    )
    names = ("baseline", "candidate", "difference", "wins", "losses")
    measured = [
        [[metric[name] for name in names] for metric in json.loads(done.stdout)["metrics"]]
        for done in (honest, again)
    ]
    assert measured[0] == measured[1]


def test_a_gate_without_the_cache_reads_and_writes_none(candidate: ModelVersion) -> None:
    done = gate("--no-cache")
    assert done.return_value in (0, 3, 4), done.output
    assert not (home.folder("cache") / "results.sqlite").exists()


def test_what_ci_and_a_reviewer_see(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    demand = "gate.require=[{metric: likelihood, must: improve, margin: 0.9}]"
    names = {"junit": "g.xml", "summary": "g.md", "json": "g.json", "report": "g.html"}
    files = [part for name, file in names.items() for part in (f"--{name}", file)]
    done = gate(demand, *files, "--output", "json")
    assert done.return_value == 3, done.output
    summary = (tmp_path / "g.md").read_text()
    title = "## ❌ REJECTED: likelihood must improve by more than 0.9, and that is ruled out"
    assert summary.splitlines()[0] == title
    assert (tmp_path / "step.md").read_text() == f"{summary}\n"
    head = "\n".join(summary.splitlines()[:20])
    assert "**Why:** likelihood must improve by more than 0.9: does not hold, INCONCLUSIVE;" in head
    assert f"**Next:** `llmops show {candidate.uri}`" in head
    assert "[Report](http://127.0.0.1:5000/#/experiments/" in head
    assert "- **A/A flip rate:** " in summary
    assert "which demands a gain" in summary
    assert (tmp_path / "g.json").read_text() == done.stdout
    assert 'type="rejected"' in (tmp_path / "g.xml").read_text()
    assert "<!doctype html>" in (tmp_path / "g.html").read_text().lower()
    run = json.loads(done.stdout)["run_id"]
    stored = mlflow.artifacts.load_text(f"runs:/{run}/report/summary.md")
    assert stored.splitlines()[0] == summary.splitlines()[0]


def test_what_was_decided_is_printed_again_and_signed(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    first = gate("--line", "pr-3")
    table = first.stdout.partition("\n\nRun:")[0]
    assert "Budget: push 1 of line pr-3: judged at alpha 0.03; the next gets 0.0076" in table
    assert "96.96% CI" in table
    make_keys(tmp_path / "gate.pem")
    second = gate("--sign-with", str(tmp_path / "gate.pem"), "--no-cache")
    assert second.return_value == first.return_value == 0
    assert second.stdout.startswith(
        f"{table}\n\nDecided before: nothing was asked or spent; --fresh asks again.\nRun: http"
    )
    assert second.stdout.splitlines()[-1] == f"Next: llmops promote {candidate.uri}"
    assert "generate:" not in second.stderr
    found = {one.part: str(one.state) for one in verify(candidate.uri, tmp_path / "gate.pem.pub")}
    assert found["signature"] == "ok"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--line", "a b"], "--line 'a b': expected at most 200 letters"),
        (["--sign-with", "none.pem"], "key none.pem: cannot be read"),
    ],
)
def test_a_wrong_line_or_key_is_refused_before_anything_is_asked(
    candidate: ModelVersion, options: list[str], says: str
) -> None:
    error = gate(*options).exception
    assert isinstance(error, LlmopsError)
    assert error.exit_code == 2
    assert says in str(error)
    assert not (home.folder("cache") / "results.sqlite").exists()
