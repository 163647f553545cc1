"""The error budget of a candidate line in one line."""

from __future__ import annotations

from llmops.records import Budget
from llmops.report.wording import clean


def spent(budget: Budget) -> str:
    """Return what a push spent, and what the next one gets.

    Returns:
        A line such as ``push 3 of line pr-12: judged at alpha 0.0034; the next gets 0.0019``.
    """
    return (
        f"push {budget.push} of line {clean(budget.line, 60)}: judged at alpha"
        f" {level(budget.alpha_k)}; the next gets {level(budget.next_alpha)}"
    )


def level(alpha: float) -> str:
    """Format an error probability with two significant digits."""
    return f"{alpha:.2g}"
