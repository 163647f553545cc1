"""Budgets of the candidate's answers."""

from __future__ import annotations

import pytest

from llmops.gate.requirements.costs import UNMEASURED, checks, spent_on
from llmops.recipe.schema import Budgets
from llmops.records import Answer, Spent

ALL = Budgets(mean_tokens=60, mean_seconds=2.0, usd_per_1000_answers=0.5, usd_per_hour=0.72)


def test_each_budget_is_a_requirement_and_its_limit_is_allowed() -> None:
    found = checks(ALL, Spent(60.0, 2.5, None))
    assert [(c.metric, c.must, c.value, c.observed, c.passed) for c in found] == [
        ("mean_tokens", "at_most", 60.0, 60.0, True),
        ("mean_seconds", "at_most", 2.0, 2.5, False),
        ("usd_per_1000_answers", "at_most", 0.5, None, None),
    ]
    assert [c.reason for c in found] == ["", "", UNMEASURED]
    assert checks(Budgets(), Spent(1e9, 1e9, 1e9)) == ()


def test_failed_answers_and_those_of_a_batch_are_left_out() -> None:
    answers = [
        Answer("a", 10, 5, "stop", seconds=1.0),
        Answer("b", 30, 5, "stop"),
        Answer("", 0, 5, "error", error="down", seconds=9.0),
    ]
    spent = spent_on(answers, ALL)
    assert (spent.mean_tokens, spent.mean_seconds) == (20.0, 1.0)
    assert spent.usd_per_1000_answers == pytest.approx(1000 * 0.72 / 3600)
    assert spent_on(answers, Budgets()).usd_per_1000_answers is None
    assert spent_on([], ALL) == Spent()
    assert spent_on(answers[1:2], ALL) == Spent(mean_tokens=30.0)
