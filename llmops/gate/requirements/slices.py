"""Protected slices: a requirement that reads only the rows with one tag of the suite."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from llmops.errors import UsageError
from llmops.gate.requirements import differences
from llmops.recipe.schema import Gate, Requirement
from llmops.records import Check, Example, Figures, SliceTest, Verdict


def check(requirement: Requirement, figures: Figures, *, same_bytes: bool) -> Check:
    """Check a requirement on the difference on one slice.

    Args:
        requirement: ``improve`` or ``not_regress``, with a slice.
        figures: The figures, with a test for each slice that some row has.
        same_bytes: Whether the candidate is the baseline, and so exactly as good.
    """
    if same_bytes:
        passed = requirement.must != "improve"
        return differences.checked(requirement, Verdict.NOT_WORSE, passed=passed)
    found = _test_for(requirement, figures)
    if reason := _no_basis(requirement, found, figures):
        return differences.checked(requirement, Verdict.INCONCLUSIVE, passed=None, reason=reason)
    assert found is not None
    made = differences.by_interval(found.test, requirement)
    if made.passed is not None or found.best > -requirement.margin or requirement.must == "improve":
        return made
    reason = (
        f"{found.test.n} rows in {found.test.clusters} clusters cannot rule out a loss of"
        f" {requirement.margin:g}: even if all were tied, they would leave {-found.best:.2g} open"
    )
    return differences.checked(requirement, made.verdict, passed=None, reason=reason)


def _test_for(requirement: Requirement, figures: Figures) -> SliceTest | None:
    wanted = (requirement.metric, requirement.tag)
    return next((test for test in figures.slices if (test.metric, test.slice) == wanted), None)


def _no_basis(requirement: Requirement, found: SliceTest | None, figures: Figures) -> str:
    """Return why a slice cannot be decided; empty if it can."""
    if found is None:
        return f"no prompt that counts has {described(requirement)}"
    if not figures.whole:
        return "the comparison stopped before every prompt"
    return ""


def described(requirement: Requirement) -> str:
    """Return a requirement's slice as ``topic=billing``."""
    return "=".join(requirement.tag or ())


def refuse_unknown(policy: Gate, examples: Iterable[Example]) -> None:
    """Refuse a slice that no prompt of the suite has, before anything is generated.

    Raises:
        UsageError: As said, with the slices of the suite.
    """
    known = {f"{key}={value}" for each in examples for key, value in each.slices.items()}
    for requirement in policy.require:
        wanted = described(requirement)
        if requirement.slice is None or wanted in known:
            continue
        near = get_close_matches(wanted, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        has = ", ".join(sorted(known)[:10]) or "none: it needs columns such as slice.topic"
        raise UsageError(
            f"gate.require: no prompt of the suite has the slice {wanted}; it has {has}{meant}"
        )
