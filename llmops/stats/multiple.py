"""Corrections for several claims that are made at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from llmops.stats.units import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Adjust p-values so that the probability of *any* false claim stays at its level.

    Valid under any dependence (Holm 1979, Scand. J. Statist. 6(2), 65-70).

    Args:
        p_values: P-values, shape (k,).

    Returns:
        Adjusted p-values in the same order, shape (k,); reject those at most alpha.

    Raises:
        ValueError: The array is not one-dimensional, or a number is NaN or outside [0, 1].

    Example:
        from llmops.stats import holm

        assert holm([0.01, 0.04, 0.03]).round(2).tolist() == [0.03, 0.06, 0.06]
    """
    p = _checked(p_values)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    raised = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted[order] = np.minimum(1.0, raised)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjust p-values so that the expected *share* of false claims stays at its level.

    Valid for independent and positively dependent tests (Benjamini & Hochberg 1995, J. R. Stat.
    Soc. B 57(1), 289-300; Benjamini & Yekutieli 2001, Ann. Statist. 29(4), 1165-1188).

    Args:
        p_values: P-values, shape (k,).

    Returns:
        Adjusted p-values in the same order, shape (k,); reject those at most alpha.

    Raises:
        ValueError: The array is not one-dimensional, or a number is NaN or outside [0, 1].

    Example:
        from llmops.stats import benjamini_hochberg

        assert benjamini_hochberg([0.01, 0.04, 0.03]).round(2).tolist() == [0.03, 0.04, 0.04]
    """
    p = _checked(p_values)
    if p.size < 2:
        return p
    from scipy import stats  # here: it takes half a second to import, and most runs have no slices

    return np.asarray(stats.false_discovery_control(p, method="bh"), np.float64)


def e_holm(e_values: ArrayLike) -> Floats:
    """Adjust e-values by Holm's method, for claims that are tested repeatedly.

    1 / e is a p-value at any time (Vovk & Wang 2021, Ann. Statist. 49(3), 1736-1754, section 2).

    Args:
        e_values: E-values of at least 0, shape (k,); infinity is allowed.

    Returns:
        Adjusted p-values in the same order, shape (k,).

    Raises:
        ValueError: The array is not one-dimensional, or a number is NaN or negative.

    Example:
        from llmops.stats import e_holm

        assert e_holm([100.0, 10.0]).tolist() == [0.02, 0.1]
    """
    e = np.asarray(e_values, dtype=np.float64)
    if not np.all(e >= 0):
        raise ValueError("e-values: expected numbers of at least 0")
    return holm(1 / np.maximum(e, 1.0))


def _checked(p_values: ArrayLike) -> Floats:
    p = np.array(p_values, dtype=np.float64)  # a copy
    if p.ndim != 1:
        raise ValueError("p-values: expected one dimension")
    if not np.all((p >= 0) & (p <= 1)):  # NaN fails too
        raise ValueError("p-values: expected numbers in [0, 1]")
    return p
