from __future__ import annotations

import pytest

from llmops.records import Check, Decision, Verdict


def decision(*passed: bool | None) -> Decision:
    checks = tuple(
        Check("token_f1", "not_regress", 0.05, Verdict.NOT_WORSE, outcome) for outcome in passed
    )
    return Decision(
        verdict=Verdict.INCONCLUSIVE,
        passed=bool(passed) and all(passed),
        checks=checks,
        sentence="",
        evidence={},
    )


@pytest.mark.parametrize(
    ("passed", "code"),
    [
        ((True, True), 0),
        ((True, False), 3),
        ((True, None), 4),
        ((None, None), 4),
        ((None, False), 3),  # one broken demand rejects, whatever else is undecided
        ((), 4),  # nothing was checked: that is no verdict at all
    ],
)
def test_one_broken_demand_rejects_and_an_open_one_leaves_it_open(
    passed: tuple[bool | None, ...], code: int
) -> None:
    assert decision(*passed).exit_code == code
