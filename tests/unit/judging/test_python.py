"""From a comparison in a notebook to a champion, without the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from trained import another_adapter, log_trained, recipe, suite_file

import llmops
from llmops.errors import UsageError
from llmops.recipe import Gate, Requirement
from llmops.records import ModelVersion
from llmops.store import connection, registry


@pytest.fixture
def candidate(version: ModelVersion, tiny_model: Path, tmp_path: Path) -> ModelVersion:
    """A second version beside the champion, whose run kept its splits."""
    return log_trained(another_adapter(tiny_model, tmp_path))


def test_python_goes_from_a_comparison_to_a_champion(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    rows = [
        {"prompt": f"Where is file {i} of the shelf?", "expected": f"In box {i}."}
        for i in range(12)
    ]

    def ends(answer: str) -> bool:
        return answer.endswith(".")

    found = llmops.compare(
        "models:/bot@champion", candidate.uri, rows, scorers=["likelihood", ends], max_tokens=4
    )
    assert [result.metric for result in found.metrics] == ["likelihood", "ends"]
    policy = Gate(require=(Requirement(metric="likelihood", margin=0.9),), min_prompts=5)
    decision = llmops.gate(found, policy)
    assert decision.passed
    run = connection.client().get_run(found.run_id)
    assert run.data.tags["llmops.evidence"] == decision.evidence_digest
    assert llmops.promote(candidate.uri) == candidate.uri
    assert registry.version_of_alias("bot", "champion") == "2"


def test_a_version_that_was_not_compared_is_compared_first(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    chosen, suite = recipe(tmp_path), suite_file(tmp_path / "suite.jsonl")
    assert llmops.gate(candidate.uri, chosen, suite=suite).passed
    policy = Gate(require=(Requirement(metric="likelihood", margin=0.9),))
    for given, held_out in ((policy, suite), (chosen, None)):
        with pytest.raises(UsageError, match="is not compared yet") as error:
            llmops.gate(candidate.uri, given, suite=held_out)
        assert "llmops.compare" in str(error.value.next_command)
