"""Requirements on the difference; ``test_policy.py`` has the table of intervals and verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy_figures import BILLING, NO_LOSS, policy
from report_records import metric

from llmops.gate.requirements.differences import by_interval, check, checked, no_basis, too_few
from llmops.records import Verdict

(REQUIRED,) = policy(NO_LOSS).require


def test_an_interval_decides_whatever_its_rows_are() -> None:
    assert by_interval(metric("token_f1", 0.01, 0.02, 0.03).test, REQUIRED).passed is True
    assert by_interval(metric("token_f1", -0.2, -0.15, -0.1).test, REQUIRED).passed is False
    open_one = by_interval(metric("token_f1", -0.2, -0.02, 0.1).test, REQUIRED)
    assert open_one.passed is None
    assert open_one.reason == "120 prompts show differences from ±0.063 on (80% power)"


def test_fewer_prompts_than_demanded_decide_nothing() -> None:
    result = metric("token_f1", 0.01, 0.02, 0.03)
    found = check(result, REQUIRED, fewest=121, same_bytes=False)
    assert (found.passed, found.reason) == (None, too_few(120, 121))
    assert no_basis(result, 120) == ""
    saturated = replace(result, baseline=1.0, candidate=1.0)
    assert no_basis(saturated, 2) == "every answer of both sides scores 1, which tells nothing"


@pytest.mark.parametrize(("must", "passed"), [("improve", False), ("not_regress", True)])
def test_the_same_bytes_are_exactly_as_good(must: str, passed: bool) -> None:
    requirement = REQUIRED.model_copy(update={"must": must})
    found = check(metric("token_f1", -1, 0, 1), requirement, fewest=2, same_bytes=True)
    assert (found.passed, found.verdict) == (passed, Verdict.NOT_WORSE)


def test_a_check_names_its_slice() -> None:
    (sliced,) = policy(BILLING).require
    assert checked(sliced, Verdict.REGRESSED, passed=False).slice == ("topic", "billing")
    assert checked(REQUIRED, Verdict.REGRESSED, passed=False).slice is None
