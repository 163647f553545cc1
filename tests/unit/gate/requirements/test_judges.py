"""Controls of judges as requirements."""

from __future__ import annotations

from policy_figures import NO_LOSS, policy

from llmops.gate.requirements.judges import checks
from llmops.records import JudgeControls

BAD = JudgeControls("token_f1", ("it prefers the first answer", "it prefers a useless answer"))
GOOD = JudgeControls("token_f1", ())
UNREAD = JudgeControls("another", ("it prefers the first answer",))


def test_a_judge_that_fails_its_controls_leaves_the_decision_open() -> None:
    (good,) = checks(policy(NO_LOSS), [GOOD, UNREAD])
    assert (good.metric, good.must, good.passed, good.reason) == ("token_f1", "hold", True, "")
    (bad,) = checks(policy(NO_LOSS), [BAD])
    assert bad.passed is None
    assert bad.reason == "it prefers the first answer; it prefers a useless answer"


def test_a_policy_may_do_without_controls() -> None:
    assert checks(policy(NO_LOSS, judge_controls=False), [BAD]) == ()
