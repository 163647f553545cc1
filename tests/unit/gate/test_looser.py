"""Overrides may tighten a policy, never loosen it."""

from __future__ import annotations

from typing import Any

import pytest
from policy_figures import BILLING, FLOOR, NO_LOSS

from llmops.errors import UsageError
from llmops.gate.looser import refuse_looser
from llmops.recipe.schema import Policy

IMPROVE = {"metric": "token_f1", "must": "improve", "margin": 0.02}
PRICED = {"usd_per_1000_answers": 1.0, "usd_per_hour": 2.0, "mean_tokens": 60}
GATE: dict[str, Any] = {
    "require": [NO_LOSS, BILLING, FLOOR],
    "budgets": PRICED,
    "min_prompts": 50,
}


def policy(scorers: tuple[str, ...] = ("token_f1", "one_line"), **keys: object) -> Policy:
    return Policy.model_validate(
        {
            "schema_version": 1,
            "model": "bot",
            "compare": {"scorers": scorers},
            "gate": {**GATE, **keys},
        }
    )


@pytest.mark.parametrize(
    "tighter",
    [
        {},
        {"alpha": 0.01},
        {"min_prompts": 500},
        {"budgets": {**PRICED, "mean_tokens": 10, "mean_seconds": 1, "usd_per_hour": 3.0}},
        {"require": [IMPROVE, BILLING, FLOOR]},
        {"require": [{**NO_LOSS, "margin": 0.01}, BILLING, {**FLOOR, "value": 0.9}, IMPROVE]},
    ],
)
def test_a_stricter_policy_is_accepted(tighter: dict[str, object]) -> None:
    refuse_looser(policy(), policy(**tighter))


@pytest.mark.parametrize(
    ("looser", "said"),
    [
        ({"alpha": 0.2}, "gate.alpha: the file has 0.05, received 0.2"),
        ({"min_prompts": 2}, "gate.min_prompts: the file has 50, received 2"),
        ({"on_inconclusive": "pass"}, "gate.on_inconclusive: the file has fail, received pass"),
        ({"first_version": "allow"}, "gate.first_version: the file has floors, received allow"),
        ({"judge_controls": False}, "gate.judge_controls: the file has True, received False"),
        ({"budgets": {}}, "gate.budgets.mean_tokens: the file has 60.0, received none"),
        ({"budgets": {**PRICED, "mean_tokens": 61}}, "the file has 60.0, received 61.0"),
        ({"budgets": {**PRICED, "usd_per_hour": 0}}, "gate.budgets.usd_per_hour: the file has 2.0"),
        ({"require": [{**NO_LOSS, "margin": 0.9}, BILLING, FLOOR]}, "margin: 0.05}, received {me"),
        ({"require": [NO_LOSS, FLOOR]}, "{'topic': 'billing'}}, received none"),
        ({"require": [NO_LOSS, BILLING, {**FLOOR, "value": 0.1}]}, "value: 0.8}, received {metric"),
    ],
)
def test_a_looser_policy_is_refused_with_both_values(looser: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_looser(policy(), policy(**looser))
    assert said in caught.value.message
    assert caught.value.message.endswith("the command line cannot loosen a policy")
    assert caught.value.exit_code == 2


def test_improving_is_not_replaced_by_not_regressing() -> None:
    with pytest.raises(UsageError, match=r"gate\.require"):
        refuse_looser(policy(require=[IMPROVE]), policy(require=[NO_LOSS]))
    refuse_looser(policy(require=[NO_LOSS]), policy(require=[IMPROVE]))


def test_a_scorer_of_the_same_label_is_not_replaced() -> None:
    demand = [{"metric": "ok", "must": "improve"}]
    old = policy(("ok=regex:^yes$",), require=demand)
    with pytest.raises(UsageError, match=r"compare.scorers: the file has regex:\^yes\$, received"):
        refuse_looser(old, policy(("ok=regex:.",), require=demand))
    refuse_looser(old, policy(("ok=regex:^yes$", "chrf"), require=demand))
