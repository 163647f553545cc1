"""``llmops evidence``: one line for each check, an exit code, and keys."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from judged import case_of, forge, frozen

from llmops.cli.main import cli
from llmops.errors import UsageError
from llmops.gate.evidence.signature import signing_key
from llmops.records import ModelVersion


def evidence(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["evidence", *arguments], standalone_mode=False)


def test_every_check_is_a_line_and_the_exit_code_says_whether_all_hold(
    version: ModelVersion, tmp_path: Path
) -> None:
    made = evidence("keygen", str(tmp_path / "gate.pem"))
    assert f"--key {tmp_path / 'gate.pem.pub'}" in made.stdout
    case = case_of(version.uri, tmp_path)
    comparison, _ = frozen(case, signing_key(tmp_path / "gate.pem", {}))
    done = evidence("verify", "models:/bot@champion", "--key", str(tmp_path / "gate.pem.pub"))
    assert done.return_value == 0, done.output
    words = [line.split()[:2] for line in done.stdout.splitlines()]
    parts = ("evidence", "frozen", "candidate", "base", "baseline", "suite", "policy", "verdict")
    assert words == [["ok", part] for part in (*parts, "description", "signature")]
    forge(comparison.run_id, lambda e: e.update(passed=True, verdict="NOT_WORSE"))
    done = evidence("verify", version.uri, "--output", "json")
    assert done.return_value == 1
    shown = json.loads(done.stdout)
    assert (shown["uri"], shown["valid"]) == (version.uri, False)
    assert [one["state"] for one in shown["findings"]] == ["TAMPERED"]


def test_a_version_that_nobody_judged_has_no_evidence(version: ModelVersion) -> None:
    done = evidence("verify", version.uri)
    assert done.return_value == 1
    assert done.stdout.startswith("absent  evidence  models:/bot/1: has no evidence")


def test_a_key_is_not_replaced_and_one_that_is_none_is_refused(
    version: ModelVersion, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("no key")
    exists = evidence("keygen", str(tmp_path / "text")).exception
    assert isinstance(exists, UsageError)
    assert "exists already" in exists.message
    evidence("keygen", str(tmp_path / "key"))
    frozen(case_of(version.uri, tmp_path), signing_key(tmp_path / "key", {}))
    no_key = evidence("verify", version.uri, "--key", str(tmp_path / "text")).exception
    assert isinstance(no_key, UsageError)
    assert "expected a PEM file with an Ed25519 public key" in no_key.message
