"""A version in an ``assert``: true if it passed, and the summary if it did not."""

from __future__ import annotations

from pathlib import Path

import pytest
from trained import another_adapter, log_trained, recipe, suite_file

import llmops
from llmops.errors import LlmopsError
from llmops.records import ModelVersion


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """A second version beside the champion, whose run kept its splits."""
    return log_trained(another_adapter(tiny_model, tmp_path))


def test_a_check_for_pytest_is_true_or_prints_the_summary(
    candidate: ModelVersion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe(tmp_path)
    passed = llmops.gate.check(candidate.uri, "bot.yaml")
    assert passed
    assert repr(passed).startswith("<PASSED: ")
    assert "## ✅ PASSED" not in capsys.readouterr().err
    lost = llmops.gate.check(
        candidate.uri,
        recipe(tmp_path, "gate.require=[{metric: likelihood, must: improve, margin: 0.9}]"),
        suite=suite_file(tmp_path / "suite.jsonl"),
    )
    assert not lost
    assert repr(lost).startswith("<REJECTED: ")
    assert str(lost).startswith("## ❌ REJECTED: ")
    assert str(lost) in capsys.readouterr().err, "pytest shows it below the failed assert"
    with pytest.raises(LlmopsError, match="no such version"):
        llmops.gate.check("models:/bot/77", "bot.yaml")
    with pytest.raises(AttributeError, match="no attribute 'chekc'"):
        llmops.gate.chekc  # noqa: B018
