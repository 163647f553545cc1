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
from llmops.engine.local.engine import LocalEngine
from llmops.errors import ConfigError, LlmopsError, UsageError
from llmops.files import home
from llmops.gate import promote
from llmops.gate.evidence.signature import make_keys
from llmops.gate.evidence.verify import verify
from llmops.records import ModelVersion
from llmops.store import connection, registry


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """Version 2 at the recipe's alias, beside the champion."""
    recipe_file(tmp_path)
    return log_trained(another_adapter(tiny_model, tmp_path))


def gate(*arguments: str) -> Result:
    """What the console script gets: the exit code is the command's return value."""
    return CliRunner().invoke(cli, ["gate", "bot.yaml", *arguments], standalone_mode=False)


def demanding(folder: Path, requirement: str) -> None:
    """Writes the requirement into the recipe, which the command line could not loosen."""
    old = "{metric: likelihood, must: not_regress, margin: 0.9}"
    path = folder / "bot.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, requirement), encoding="utf-8")


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
    candidate: ModelVersion, tmp_path: Path, demand: str, code: int
) -> None:
    demanding(tmp_path, demand)
    done = gate("--output", "json")
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


def test_the_next_command_names_the_alias_of_the_policy(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    done = gate("gate.on_pass=live", "compare.baseline=models:/bot/1")
    assert f"Next: llmops promote {candidate.uri} --to live" in done.stdout
    demanding(tmp_path, "{metric: token_f1, must: improve}")
    refused = gate()
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


def test_cached_answers_that_were_edited_do_not_decide(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    demanding(tmp_path, "{metric: likelihood, must: improve, margin: 0.5}")
    honest = gate("--output", "json")
    better = json.dumps([-0.001, 5])
    with closing(sqlite3.connect(home.folder("cache") / "results.sqlite")) as db:
        edited = db.execute("update result set value = ? where value like '[%'", [better]).rowcount
        db.commit()
    assert edited > 0
    again = gate("--fresh", "--output", "json")
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


POLICY = """\
schema_version: 1
model: bot
suite: mine.jsonl
compare: {max_tokens: 4, method: fixed, traces: false}
gate:
  require: [{metric: likelihood, must: not_regress, margin: 0.9}]
  min_prompts: 5
"""


def policy_file(folder: Path, text: str = POLICY) -> str:
    suite_file(folder / "mine.jsonl", HELD_OUT[:8])
    path = folder / "gate.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def by_policy(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["gate", *arguments], standalone_mode=False)


def test_a_policy_needs_no_recipe(candidate: ModelVersion, tmp_path: Path) -> None:
    path = policy_file(tmp_path)
    (tmp_path / "bot.yaml").unlink()
    done = by_policy("--policy", path, "--output", "json")
    assert done.return_value == 0, done.output
    shown = json.loads(done.stdout)
    assert shown["candidate"]["uri"] == candidate.uri
    assert shown["baseline"]["uri"] == "models:/bot/1"
    assert (shown["suite"]["name"], shown["suite"]["prompts"]) == ("mine", 8)
    assert promote(candidate.uri) == candidate.uri


def test_a_named_baseline_replaces_that_of_the_policy(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    path = policy_file(tmp_path)
    done = by_policy("--policy", path, "--baseline", "base", "--output", "json")
    assert json.loads(done.stdout)["baseline"]["uri"] == "models:/tiny/1"
    missing = by_policy("--policy", path, "--baseline", "nobody").exception
    assert isinstance(missing, LlmopsError)
    assert "nobody" in str(missing)


def test_the_bare_base_as_a_named_baseline_makes_no_first_version(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    text = POLICY.replace("not_regress, margin: 0.9", "improve, margin: 0.9")
    path = policy_file(tmp_path, text + "  first_version: allow\n")
    assert by_policy("--policy", path).return_value == 3
    assert by_policy("--policy", path, "--baseline", "base").return_value == 3
    registry.set_alias("bot", "other", "1")
    connection.client().delete_registered_model_alias("bot", "champion")
    allowed = by_policy("--policy", path, "--output", "json")
    assert allowed.return_value == 0
    decision = json.loads(allowed.stdout)["decision"]
    assert decision["note"].startswith("PASSED WITHOUT PROOF (gate.first_version is allow")
    assert promote(candidate.uri) == candidate.uri, "decided again from the recorded figures"


def test_floors_and_budgets_are_recorded_and_promote(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    more = """\
    - {metric: likelihood, must: at_least, value: 1.0e-9}
  budgets: {mean_tokens: 4}
"""
    text = POLICY.replace("require: [{", "require:\n    - {").replace("}]\n", "}\n" + more)
    done = by_policy("--policy", policy_file(tmp_path, text), "--output", "json")
    assert done.return_value == 0, done.output
    checks = json.loads(done.stdout)["decision"]["checks"]
    assert [check["must"] for check in checks] == ["not_regress", "at_least", "at_most"]
    assert checks[2]["observed"] <= checks[2]["value"] == 4
    assert promote(candidate.uri) == candidate.uri


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bot.yaml", "gate.min_prompts=2"], "gate.min_prompts: the file has 5, received 2"),
        (["bot.yaml", "compare.confidence=0.5"], "gate.alpha: the file has 0.05, received 0.5"),
        (
            ["--policy", "gate.yaml", "gate.alpha=0.5"],
            "gate.alpha: the file has 0.05, received 0.5",
        ),
        (["--policy", "bot.yaml"], "is a recipe, not a policy"),
        (["gate.yaml"], "is a policy, not a recipe"),
        (["bot.yaml", "--policy", "gate.yaml"], "give one of them"),
        ([], "neither a recipe nor --policy received"),
        (["--policy", "nowhere.yaml"], "nowhere.yaml: no such policy"),
        (["--policy", "gate.yaml", "--suite", "nowhere.jsonl"], "nowhere.jsonl"),
        (
            ["--policy", "gate.yaml", "gate.min_prompts=9"],
            "8 prompts, gate.min_prompts is 9: no version",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_generated(
    candidate: ModelVersion,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    policy_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LocalEngine, "__init__", pytest.fail)
    error = by_policy(*arguments).exception
    assert isinstance(error, LlmopsError), error
    assert error.exit_code == 2
    assert said in str(error)


def test_a_protected_slice_must_be_in_the_suite(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalEngine, "__init__", pytest.fail)
    text = POLICY.replace("margin: 0.9", "margin: 0.9, slice: {topic: billing}")
    error = by_policy("--policy", policy_file(tmp_path, text)).exception
    assert isinstance(error, UsageError)
    assert "no prompt of the suite has the slice topic=billing; it has none" in str(error)


def test_a_dry_run_generates_nothing(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = policy_file(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(LocalEngine, "__init__", pytest.fail)
        done = by_policy("--policy", path, "--dry-run")
        assert done.return_value == 0, done.output
        assert "Prompts  up to 8 for each side, 16 answers" in done.stdout
        assert "at most 64 of answers" in done.stdout
        assert "Minutes  unknown" in done.stdout
    assert by_policy("--policy", path).return_value == 0
    timed = by_policy("--policy", path, "--dry-run", "--output", "json")
    assert json.loads(timed.stdout)["forecast"]["minutes"] > 0


def test_scorers_that_import_code_gate_where_policy_and_command_allow_it(
    candidate: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_scorers.py").write_text(
        "from mlflow.genai import scorer\n\n\n@scorer\ndef fine(outputs):\n    return 1.0\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = POLICY.replace(
        "max_tokens", 'scorers: [likelihood, "fine=mlflow:my_scorers:fine"], max_tokens'
    )
    path = policy_file(tmp_path, text)
    error = by_policy("--policy", path).exception
    assert isinstance(error, ConfigError)
    assert "llmops gate … --allow-code" in str(error)
    done = by_policy("--policy", path, "--allow-code", "--output", "json")
    assert done.return_value == 0, done.output
    assert [each["metric"] for each in json.loads(done.stdout)["metrics"]] == ["likelihood", "fine"]
