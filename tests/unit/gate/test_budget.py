"""One error budget for a candidate line: what its pushes may spend, and what they do spend."""

from __future__ import annotations

import pytest
from error_budget import ALPHA, MARGIN, Case, Rates, budgeted, counts, plain, rates

from llmops.errors import UsageError
from llmops.gate.budget import alpha_of, budget_of, number_for, since_promotion
from llmops.store.lines import Push


def push(number: int, question: str = "a", evidence: str | None = "e") -> Push:
    return Push(f"run{number}", question, number, number, evidence, deleted=False)


def test_the_levels_of_all_pushes_add_up_to_alpha() -> None:
    spent = sum(alpha_of(0.05, number) for number in range(1, 200_000))
    assert 0.04999 < spent < 0.05
    assert alpha_of(0.05, 1) == pytest.approx(0.0304, abs=1e-4)
    assert alpha_of(0.05, 10) == pytest.approx(0.0304 / 100, abs=1e-6)
    with pytest.raises(UsageError, match="from 1 on, received 0"):
        alpha_of(0.05, 0)


def test_a_budget_says_what_the_next_push_gets() -> None:
    budget = budget_of(0.05, "pr-12", 3)
    assert (budget.line, budget.push, budget.alpha) == ("pr-12", 3, 0.05)
    assert budget.next_alpha == alpha_of(0.05, 4) < budget.alpha_k == alpha_of(0.05, 3)


def test_a_line_starts_anew_after_one_of_its_candidates_was_promoted() -> None:
    promoted = push(2, evidence="p")
    assert since_promotion([push(1), promoted, push(1), push(2)], {"p"}) == (push(1), push(2))
    assert since_promotion([push(1), push(2)], {"p"}) == (push(1), push(2))
    assert since_promotion([push(1), promoted], {"p", "q"}) == ()
    assert since_promotion([push(1), push(2, evidence=None)], set()) == (
        push(1),
        push(2, evidence=None),
    )
    assert since_promotion([], {"p"}) == ()


@pytest.mark.parametrize(
    ("pushes", "number"),
    [
        ([], 1),
        ([push(1), push(2)], 3),
        ([push(1, "q")], 2),  # decided before, so it was asked for afresh
        ([push(1), push(2, "q", None)], 2),  # killed: it goes on as the same push
        ([push(1, "q", None), push(2)], 1),
        ([push(1, "q"), push(2, "q", None)], 2),  # the fresh one was killed
        ([push(1, "other", None)], 2),  # somebody else's open question is spent
        ([push(3)], 4),  # the lower numbers lie in no store any more
    ],
)
def test_the_number_of_a_push(pushes: list[Push], number: int) -> None:
    assert number_for("q", pushes) == number


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_ten_pushes_of_a_candidate_that_is_no_better_err_as_rarely_as_one(shared: float) -> None:
    case = Case(24, 0.0, shared)
    counted = counts(case, times=20)  # 2,000 pull requests
    held, without = (rates(counted, case.prompts, level) for level in (budgeted, plain))
    assert max(held.improved, held.rejected) <= ALPHA / 2 + 0.01
    if shared == 0:
        assert min(without.improved, without.rejected) > ALPHA, "which a full level for each breaks"


def test_ten_pushes_of_a_candidate_that_is_worse_by_the_margin_pass_as_rarely_as_one() -> None:
    case = Case(24, -MARGIN, 0.5)
    counted = counts(case, times=20)
    held: Rates = rates(counted, case.prompts, budgeted)
    assert held.passed <= ALPHA / 2 + 0.01 < rates(counted, case.prompts, plain).passed
