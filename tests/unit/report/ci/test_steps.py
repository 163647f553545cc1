"""The requirement that decided, the slice that drove it, and what to do next."""

from __future__ import annotations

from report_records import CHECKS, comparison, decision

from llmops.records import Check, Outlook, SliceResult, SmallSlice, Verdict
from llmops.report.ci.steps import deciding, driver, headline, next_step, reason

URI = "models:/bot/3"
LOST = Check("token_f1", "not_regress", 0.05, Verdict.REGRESSED, passed=False)
OPEN = Check("likelihood", "not_regress", 0.03, Verdict.INCONCLUSIVE, passed=None)


def part(value: str, n: int, difference: float) -> SliceResult:
    ends = (difference - 0.1, difference + 0.1)
    return SliceResult("topic", value, n, difference, *ends, 0.02, 0.03, 1, 2, 3)


def test_the_failed_requirement_decides_then_an_open_one_then_the_first() -> None:
    assert deciding(decision((CHECKS[0], OPEN, LOST))) is LOST
    assert deciding(decision((CHECKS[0], OPEN))) is OPEN
    assert deciding(decision(CHECKS)) is CHECKS[0]


def test_a_reason_has_the_figures_of_its_metric() -> None:
    text = reason(LOST, comparison())
    assert text == (
        "token F1 must not lose more than 0.05: does not hold, REGRESSED; +20.8 points, 95% CI +6.2 to +35.4"
    )
    assert reason(LOST) == "token F1 must not lose more than 0.05: does not hold, REGRESSED"


def test_the_next_step_is_a_command_as_typed() -> None:
    assert str(next_step(decision(), URI)) == f"llmops promote {URI}"
    live = decision(evidence={"policy": {"on_pass": "live"}})
    assert next_step(live, URI).command == f"llmops promote {URI} --to live"
    lost = next_step(decision((LOST,)), URI)
    assert lost.command == f"llmops show {URI}"
    assert "nothing was promoted" in str(lost)


def test_an_inconclusive_decision_says_how_many_prompts_would_decide_it() -> None:
    some = decision((OPEN,), Verdict.INCONCLUSIVE, outlook=Outlook(0.2, False, 1430, 120))
    assert "about 1,430 would decide it, 120 counted" in str(next_step(some, URI))
    for outlook in (None, Outlook(0.2, False, None, 120), Outlook(0.2, False, 90, 120)):
        none = next_step(decision((OPEN,), Verdict.INCONCLUSIVE, outlook=outlook), URI)
        assert none.command == f"llmops show {URI}"
        assert "add prompts" in none.note


def test_the_slice_with_most_of_the_loss_drove_a_rejection() -> None:
    slices = (part("small", 3, -0.9), part("billing", 40, -0.2), part("good", 50, 0.1))
    found = comparison(slices=(*slices, SmallSlice("topic", "tiny", 1)))
    assert driver(found, decision((LOST,))) is slices[1]
    assert driver(found, decision((OPEN,))) is None, "nothing was rejected"
    other = Check("one_line", "improve", 0.0, Verdict.REGRESSED, passed=False)
    assert driver(found, decision((other,))) is None, "slices are of the first metric"
    assert driver(comparison(slices=slices[2:]), decision((LOST,))) is None
    assert driver(comparison(), decision((LOST,))) is None


def test_a_gain_that_is_ruled_out_is_not_called_inconclusive() -> None:
    assert headline(decision((LOST,), Verdict.REGRESSED)).startswith("REJECTED: REGRESSED: v3")
    gain = Check("likelihood", "improve", 0.9, Verdict.INCONCLUSIVE, passed=False)
    assert headline(decision((gain,), Verdict.INCONCLUSIVE)) == (
        "REJECTED: likelihood must improve by more than 0.9, and that is ruled out"
    )
    assert headline(decision()).startswith("PASSED: IMPROVED: ")
    undecided = headline(decision((OPEN,), Verdict.INCONCLUSIVE))
    assert undecided.startswith("INCONCLUSIVE: ")
    assert undecided.count("INCONCLUSIVE: ") == 1
