"""Budgets: measured means of the candidate's answers against a limit, without an interval."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.recipe.schema import Budgets
from llmops.records import Answer, Check, Spent, Verdict

SECONDS_PER_HOUR = 3600
BATCH = 1_000
"""Answers that a price is given for."""
DIGITS = 9
"""Decimals of a recorded mean."""
UNMEASURED = "not measured: no answer was timed alone, as in a batch"


def checks(budgets: Budgets, spent: Spent) -> tuple[Check, ...]:
    """Check each budget that is set; undecided where nothing was measured."""
    return tuple(
        _check(name, limit, getattr(spent, name)) for name, limit in budgets.limits.items()
    )


def _check(name: str, limit: float, observed: float | None) -> Check:
    return Check(
        metric=name,
        must="at_most",
        margin=0.0,
        verdict=Verdict.INCONCLUSIVE,  # a budget says nothing about the baseline
        passed=None if observed is None else observed <= limit,
        reason=UNMEASURED if observed is None else "",
        value=limit,
        observed=observed,
    )


def spent_on(answers: Sequence[Answer], budgets: Budgets) -> Spent:
    """Return what answers cost on average.

    Args:
        answers: The candidate's answers; failed ones do not count.
        budgets: The policy's budgets, with the price of an hour.
    """
    given = [answer for answer in answers if answer.error is None]
    seconds = _mean([answer.seconds for answer in given if answer.seconds is not None])
    price = None
    if seconds is not None and budgets.usd_per_hour is not None:
        price = round(BATCH * seconds * budgets.usd_per_hour / SECONDS_PER_HOUR, DIGITS)
    return Spent(_mean([answer.tokens for answer in given]), seconds, price)


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), DIGITS) if values else None
