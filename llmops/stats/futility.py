"""Futility: whether a margin can still be cleared with the prompts that are left.

The final estimate is a weighted mean of what was seen and of what is left. If the prompts that are left
have the mean d, it exceeds the margin at the last look with the *conditional power* (Lan & Wittes 1988,
Biometrics 44(2), 579-585)

    Phi((t m + (1 - t) d - bar - z s) / (sqrt(1 - t) s)),

where t is the share of prompts seen, m their mean, s the standard error that all prompts will have, and
z the quantile of the last test. Here d is the current mean plus two standard errors, in favour of going on.
"""

from __future__ import annotations

import math

from scipy import special

from llmops.stats.paired import jackknife
from llmops.stats.units import Units

OPTIMISM = 2.0
"""Standard errors by which the prompts that are left may be better than those seen."""
HOPELESS = 0.01
"""Conditional power below which a margin is out of reach."""


def is_futile(units: Units, bar: float, time: float, alpha: float) -> bool:
    """Return whether the mean is at most ``bar``, and the conditional power to exceed it below 1%.

    Args:
        units: At least two units with some spread, else nothing is out of reach.
        bar: Difference to exceed at the last look.
        time: Share of all prompts seen, in (0, 1).
        alpha: One-sided level of the last test.
    """
    if units.sums.size < 2:
        return False
    mean, error, _ = jackknife(units.sums, units.sizes)
    if mean > bar:
        return False
    final = error * math.sqrt(time)
    expected = time * mean + (1 - time) * (mean + OPTIMISM * error)
    needed = bar - float(special.ndtri(alpha)) * final
    if final == 0:
        return expected < needed
    return float(special.ndtr((expected - needed) / (math.sqrt(1 - time) * final))) < HOPELESS
