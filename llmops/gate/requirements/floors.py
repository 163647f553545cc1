"""Floors: the candidate's own mean must be shown to reach a value, whatever the baseline does."""

from __future__ import annotations

from llmops.gate.requirements.differences import too_few
from llmops.recipe.schema import Requirement
from llmops.records import Check, Figures, OwnMean, Verdict
from llmops.report.wording import percent


def check(requirement: Requirement, figures: Figures, *, fewest: int) -> Check:
    """Check a floor on the interval of the candidate's own mean.

    Args:
        requirement: A requirement ``at_least``.
        figures: The figures, with an own mean for each floor that some row concerns.
        fewest: Number of prompts below which a floor under the whole suite is not decided.

    Returns:
        Passed if the lower end reaches the floor, failed if the upper end does not, else undecided.
    """
    found = mean_for(requirement, figures)
    if found is None:
        return _checked(requirement, None, None, "no row of the suite concerns it")
    shown = f"{percent(found.confidence)} CI {found.low:.3f} to {found.high:.3f}, {found.n} prompts"
    if not figures.whole:
        return _checked(requirement, found, None, "the comparison stopped before every prompt")
    if requirement.slice is None and found.n < fewest:
        return _checked(requirement, found, None, too_few(found.n, fewest))
    floor = requirement.value or 0.0
    passed = True if found.low >= floor else False if found.high < floor else None
    return _checked(requirement, found, passed, shown)


def mean_for(requirement: Requirement, figures: Figures) -> OwnMean | None:
    """Return the own mean that a floor reads; ``None`` if no row concerns it."""
    wanted = (requirement.metric, requirement.tag)
    return next((mean for mean in figures.means if (mean.metric, mean.slice) == wanted), None)


def _checked(
    requirement: Requirement, found: OwnMean | None, passed: bool | None, reason: str
) -> Check:
    return Check(
        metric=requirement.metric,
        must=requirement.must,
        margin=0.0,
        verdict=Verdict.INCONCLUSIVE,  # a floor says nothing about the baseline
        passed=passed,
        reason=reason,
        slice=requirement.tag,
        value=requirement.value,
        observed=None if found is None else found.mean,
    )
