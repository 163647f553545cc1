"""What a suite can decide, by simulating the comparison's own test on differences like those seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import cast

import numpy as np

from llmops.records import Check, Comparison, Outlook, Row
from llmops.stats import Design, OutOfReachError, prompts_needed, simulated_power
from llmops.stats.paired import jackknife
from llmops.stats.result import E_SHARES, Method
from llmops.stats.units import DIGITS, Floats, cluster_sums

SIMULATIONS = 200
"""Simulated comparisons: a rate has a standard error of at most 0.035, and a gate on cached answers does
not wait for more."""
SIMULATED, PLANNED = 1_000, 1_000_000
"""Largest suites that are simulated, and that the normal formula is asked about."""
POWER = 0.8
LEAST_SPREAD, MOST_SPREAD = 1e-3, 0.99
"""Standard deviations that a simulation can draw."""
MUST = ("improve", "not_regress")
"""Requirements on a difference; the others do not compare the sides."""


def outlook(comparison: Comparison, checks: Sequence[Check]) -> Outlook | None:
    """Return what the suite can decide.

    Args:
        comparison: Result of the comparison, with its rows.
        checks: The checked requirements of the policy.

    Returns:
        ``None`` if no requirement is about a difference, or no prompt counts.

    Example:
        from llmops.gate.planning.outlook import outlook

        print(outlook(comparison, decision.checks).equal_fail)  # such as 0.08
    """
    rows = [row for row in comparison.rows if not row.failed]
    about = [check for check in checks if check.must in MUST and _concerned(rows, check)]
    if not about or comparison.baseline.digest == comparison.candidate.digest:
        return None
    fails = [1 - _power(comparison, rows, check) for check in about]
    open_checks = [check for check in about if check.passed is None]
    needed = [_needed(comparison, rows, check) for check in open_checks]
    return Outlook(
        equal_fail=min(1.0, sum(fails)),
        demands_gain=any(check.must == "improve" for check in about),
        prompts=max(filter(None, needed)) if needed and all(needed) else None,
        asked=len(rows),
    )


def _concerned(rows: Sequence[Row], check: Check) -> list[Row]:
    return [row for row in rows if row.example.is_in(check.slice)]


def _power(comparison: Comparison, rows: Sequence[Row], check: Check) -> float:
    """Return the probability that an equally good candidate meets a requirement."""
    part = _concerned(rows, check)
    suite = max(2, len(rows), comparison.available)
    prompts = max(2, round(suite * len(part) / len(rows)))
    bar = -check.margin if check.must == "not_regress" else check.margin
    design = _design(comparison, part, check, bar)
    if bar >= 0:  # no difference to show: what remains is the error of the test
        return design.alpha
    method = _method(comparison)
    return simulated_power(design, 0.0, prompts, method, simulations=SIMULATIONS).power


def _needed(comparison: Comparison, rows: Sequence[Row], check: Check) -> int | None:
    """Return the prompts of the suite that would decide a requirement if the difference is as seen."""
    part = _concerned(rows, check)
    seen, share = _difference(comparison, part, check), len(part) / len(rows)
    bar = -check.margin if check.must == "not_regress" else check.margin
    if seen < bar:  # what can be shown is that it does not hold: the same with the sides swapped
        seen, bar = -seen, 0.0 if check.must == "not_regress" else -bar
    design = _design(comparison, part, check, bar)
    about = _by_formula(design, seen)
    if about > PLANNED:
        return None
    if about > SIMULATED:
        return math.ceil(about / share)
    method = _method(comparison)
    try:
        found = prompts_needed(design, seen, POWER, method, simulations=SIMULATIONS)
    except (OutOfReachError, ValueError):  # such as more than the level allows
        return None
    return math.ceil(found.prompts / share)


def _difference(comparison: Comparison, rows: Sequence[Row], check: Check) -> float:
    """Return the difference that was seen: on a slice, that of its rows."""
    metric = check.metric
    if check.slice is None:
        return comparison.metric(metric).test.difference
    return float(np.mean([r.candidate_scores[metric] - r.baseline_scores[metric] for r in rows]))


def _method(comparison: Comparison) -> Method:
    """Return the method to simulate: an e-process costs ten times as much, and its power is close."""
    return "spend" if comparison.method in E_SHARES else cast("Method", comparison.method)


def _by_formula(design: Design, seen: float) -> int:
    """Return the prompts by the normal formula, to two digits; more than any suite on the bar itself."""
    quantile = NormalDist().inv_cdf
    z, distance = quantile(1 - design.alpha) + quantile(POWER), seen - design.bar
    if distance <= 0:
        return PLANNED + 1
    prompts = (z * design.spread(seen) / distance) ** 2 * (1 + (design.sizes[0] - 1) * design.icc)
    return int(float(f"{min(prompts, 2 * PLANNED):.1e}"))


def _design(comparison: Comparison, rows: Sequence[Row], check: Check, bar: float) -> Design:
    """Return the assumptions: spread, level and clusters of the differences as they were seen."""
    test = comparison.metric(check.metric).test
    old = np.array([row.baseline_scores[check.metric] for row in rows])
    new = np.array([row.candidate_scores[check.metric] for row in rows])
    differences = np.round(new - old, DIGITS)
    spread = min(MOST_SPREAD, max(LEAST_SPREAD, float(differences.std())))
    size, icc = _clusters(differences, [row.example.cluster for row in rows])
    return Design(
        bar=bar,
        sd=spread,
        alpha=(1 - test.confidence) / 2,
        level=min(
            1.0, max(spread, old.mean(), new.mean(), abs(_difference(comparison, rows, check)))
        ),
        sizes=(size,),
        icc=icc,
    )


def _clusters(differences: Floats, names: Sequence[str]) -> tuple[int, float]:
    """Return the mean size of a cluster and the intraclass correlation that explains the variance.

    Clusters of m prompts inflate the variance of a mean by 1 + (m - 1) icc (Kish 1965).
    """
    sums, sizes = cluster_sums(differences, list(names))
    size = round(differences.size / sums.size)
    alone = float(differences.var()) / differences.size
    if size < 2 or sums.size < 2 or alone == 0:
        return 1, 0.0
    _, error, _ = jackknife(sums, sizes)
    inflation = error**2 / alone
    icc = (inflation - 1) / (size - 1)
    return size, min(1.0, max(0.0, icc)) if math.isfinite(icc) else 0.0
