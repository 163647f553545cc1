"""From a comparison in a notebook to a champion, without the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trained import another_adapter, log_trained, recipe, suite_file

import llmops
from llmops.errors import IntegrityError, UsageError
from llmops.gate.budget import alpha_of
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

    policy = Gate(require=(Requirement(metric="likelihood", margin=0.9),), min_prompts=5)
    found = llmops.compare(
        "models:/bot@champion",
        candidate.uri,
        rows,
        policy=policy,
        scorers=["likelihood", ends],
        max_tokens=4,
    )
    assert [result.metric for result in found.metrics] == ["likelihood", "ends"]
    assert found.metrics[0].test.confidence == pytest.approx(1 - alpha_of(policy.alpha, 1))
    with pytest.raises(IntegrityError, match="TAMPERED"):
        llmops.gate(found, policy.model_copy(update={"min_prompts": 4}))
    decision = llmops.gate(found, policy)
    assert decision.passed
    assert decision.budget is not None
    assert decision.budget.push == 1
    run = connection.client().get_run(found.run_id)
    assert run.data.tags["llmops.evidence"] == decision.evidence_digest
    assert llmops.promote(candidate.uri) == candidate.uri
    assert registry.version_of_alias("bot", "champion") == "2"


def test_what_no_version_could_pass_is_refused_before_anything_is_asked(
    candidate: ModelVersion, tmp_path: Path
) -> None:
    rows = [{"prompt": f"Where is file {i}?", "expected": "There."} for i in range(4)]
    policy = Gate(require=(Requirement(metric="token_f1", must="improve"),), min_prompts=5)
    chosen = recipe(tmp_path)
    strict = chosen.model_copy(
        update={"gate": chosen.gate.model_copy(update={"min_prompts": 5_000})}
    )
    suite = suite_file(tmp_path / "suite.jsonl")
    for ask in (
        lambda: llmops.compare("models:/bot@champion", candidate.uri, rows, policy=policy),
        lambda: llmops.gate(candidate.uri, strict, suite=suite),
        lambda: llmops.gate.check(candidate.uri, strict, suite=suite),
    ):
        with pytest.raises(UsageError, match=r"gate.min_prompts is 5,?0*: no version can pass"):
            ask()


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


@pytest.mark.parametrize("given", ["gate.yaml", {"require": []}, Path("gate.yaml")])
def test_a_policy_of_another_type_is_refused(given: Any) -> None:
    for ask in (
        lambda: llmops.compare("models:/bot/1", "models:/bot/2", [], policy=given),
        lambda: llmops.gate("models:/bot/2", given),
    ):
        with pytest.raises(UsageError, match="policy: expected a Policy") as refusal:
            ask()
        assert "load_policy" in str(refusal.value.next_command)
