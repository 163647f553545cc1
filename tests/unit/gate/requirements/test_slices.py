"""Protected slices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy_figures import BILLING, NO_LOSS, compared, policy

from llmops.errors import UsageError
from llmops.gate.requirements.figures import figures_of
from llmops.gate.requirements.slices import check, described, refuse_unknown
from llmops.records import Figures, Verdict

(REQUIRED,) = policy(BILLING).require
TOPICS = ("billing", "other")


def figures(scores: list[tuple[float, float]]) -> Figures:
    return figures_of(compared(scores, topics=TOPICS), policy(BILLING))


def test_a_loss_on_the_slice_alone_is_a_regression() -> None:
    found = check(REQUIRED, figures([(0.9, 0.4), (0.4, 0.9)] * 40), same_bytes=False)
    assert (found.passed, found.verdict) == (False, Verdict.REGRESSED)
    assert found.slice == ("topic", "billing")
    better = check(REQUIRED, figures([(0.4, 0.9), (0.9, 0.4)] * 40), same_bytes=False)
    assert (better.passed, better.verdict) == (True, Verdict.IMPROVED)


def test_fewer_rows_than_could_decide_are_undecided_with_the_reason() -> None:
    few = check(REQUIRED, figures([(0.8, 0.8), (0.8, 0.8)] * 4), same_bytes=False)
    assert few.passed is None
    assert few.reason.startswith("4 rows in 4 clusters cannot rule out a loss of 0.1: even if all")
    many = check(REQUIRED, figures([(0.9, 0.8), (0.8, 0.9)] * 40), same_bytes=False)
    assert "cannot rule out" not in many.reason


def test_no_rows_and_an_early_stop_decide_nothing() -> None:
    assert check(REQUIRED, Figures(), same_bytes=False).reason == (
        "no prompt that counts has topic=billing"
    )
    stopped = replace(figures([(0.4, 0.9)] * 80), whole=False)
    assert check(REQUIRED, stopped, same_bytes=False).passed is None


def test_the_same_bytes_are_as_good_on_every_slice() -> None:
    found = check(REQUIRED, Figures(), same_bytes=True)
    assert (found.passed, found.verdict) == (True, Verdict.NOT_WORSE)


def test_a_slice_that_no_prompt_has_is_refused_before_anything_is_spent() -> None:
    examples = [row.example for row in compared([(0.5, 0.5)] * 4, topics=TOPICS).rows]
    refuse_unknown(policy(NO_LOSS, BILLING), examples)
    wrong = policy({**BILLING, "slice": {"topic": "biling"}})
    assert described(wrong.require[0]) == "topic=biling"
    with pytest.raises(UsageError) as caught:
        refuse_unknown(wrong, examples)
    assert str(caught.value).startswith(
        "gate.require: no prompt of the suite has the slice topic=biling; it has topic=billing,"
        " topic=other; did you mean topic=billing?"
    )
    with pytest.raises(UsageError, match=r"none: it needs columns such as slice\.topic"):
        refuse_unknown(wrong, [replace(each, slices={}) for each in examples])
