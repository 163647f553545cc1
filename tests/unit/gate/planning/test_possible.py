"""Whether a suite can ever pass at its size."""

from __future__ import annotations

import pytest
from policy_figures import BILLING, FLOOR, NO_LOSS

from llmops.errors import UsageError
from llmops.gate.planning.possible import Prospect, prospects, refuse_impossible, refuse_too_few
from llmops.recipe.schema import Policy
from llmops.records import Example, Suite
from llmops.stats import mean_interval

EXACT = {"metric": "exact", "must": "not_regress", "margin": 0.05}


def policy(*require: dict[str, object], **compare: object) -> Policy:
    return Policy.model_validate(
        {
            "schema_version": 1,
            "model": "bot",
            "compare": {"scorers": ["token_f1", "one_line", "exact"], **compare},
            "gate": {"require": list(require), "min_prompts": 10},
        }
    )


def suite(prompts: int, *, cluster: int = 1, billing: int = 0) -> list[Example]:
    turn = ({"role": "user", "content": "Q"},)
    return [
        Example(
            f"q{i}", turn, "A", f"c{i // cluster}", {"topic": "billing" if i < billing else "other"}
        )
        for i in range(prompts)
    ]


def outlook(found: tuple[Prospect, ...]) -> Prospect:
    fewest, one = found
    assert fewest.can_pass
    return one


def test_right_and_wrong_answers_need_the_prompts_of_the_score_interval() -> None:
    short = outlook(prospects(policy(EXACT, method="fixed"), suite(60)))
    assert not short.can_pass
    assert short.needed == 73  # z² (1 - 0.05) / 0.05 for no win and no loss
    assert short.sentence == (
        "exact must not lose more than 0.05: 60 prompts in 60 clusters can never show it; 73 prompts"
        " would do"
    )
    assert outlook(prospects(policy(EXACT, method="fixed"), suite(short.needed))).can_pass


def test_what_would_do_does() -> None:
    tight = {**NO_LOSS, "margin": 0.01}
    short = outlook(prospects(policy(tight), suite(100)))
    assert short.needed is not None
    assert 150 < short.needed < 300
    assert outlook(prospects(policy(tight), suite(short.needed + 10))).can_pass


def test_prompts_of_one_cluster_say_less() -> None:
    assert outlook(prospects(policy(NO_LOSS), suite(60))).can_pass
    grouped = outlook(prospects(policy(NO_LOSS), suite(60, cluster=6)))
    assert (grouped.can_pass, grouped.prompts, grouped.clusters) == (False, 60, 10)
    assert grouped.needed is not None
    assert grouped.needed > 60


def test_a_single_cluster_can_show_nothing() -> None:
    assert not outlook(prospects(policy(NO_LOSS), suite(200, cluster=200))).can_pass


def test_a_gain_needs_few_prompts_and_a_gain_beyond_the_scores_none() -> None:
    gain = {"metric": "token_f1", "must": "improve", "margin": 0.2}
    assert outlook(prospects(policy(gain), suite(12))).can_pass


def test_a_floor_is_tried_on_right_answers_only() -> None:
    found = outlook(prospects(policy({**FLOOR, "value": 0.9}), suite(20)))
    assert (found.can_pass, found.needed) == (False, 36)
    assert mean_interval([1.0] * 36)[0] >= 0.9 > mean_interval([1.0] * 35)[0]
    assert outlook(prospects(policy({**FLOOR, "value": 0.9}), suite(36))).can_pass


def test_a_slice_is_judged_by_its_own_prompts() -> None:
    found = outlook(prospects(policy(BILLING), suite(500, billing=8)))
    assert (found.can_pass, found.prompts) == (False, 8)
    assert outlook(prospects(policy(BILLING), suite(500, billing=100))).can_pass


def test_repeats_are_prompts_of_the_same_cluster() -> None:
    found = outlook(prospects(policy(NO_LOSS, repeats=3, temperature=0.5), suite(10)))
    assert (found.prompts, found.clusters) == (30, 10)


def test_fewer_prompts_than_the_policy_demands_never_pass() -> None:
    fewest = prospects(policy(NO_LOSS), suite(9))[0]
    assert (fewest.can_pass, fewest.needed) == (False, 10)


def test_too_few_prompts_are_refused_before_anything_is_generated() -> None:
    asked = policy(NO_LOSS, repeats=2, temperature=1)
    refuse_too_few(asked, Suite("s", None, "d" * 64, tuple(suite(5))))
    with pytest.raises(UsageError, match=r"suite s: 8 prompts, gate\.min_prompts is 10"):
        refuse_too_few(asked, Suite("s", None, "d" * 64, tuple(suite(4))))


def test_a_suite_that_cannot_pass_is_refused_with_the_number_that_would_do() -> None:
    refuse_impossible(prospects(policy(NO_LOSS), suite(60)), "a.jsonl")
    with pytest.raises(UsageError) as caught:
        refuse_impossible(prospects(policy(EXACT), suite(60)), "a.jsonl")
    assert caught.value.exit_code == 2
    assert "suite a.jsonl can never pass this policy: exact must not lose more" in str(caught.value)
    assert "prompts would do" in str(caught.value)
