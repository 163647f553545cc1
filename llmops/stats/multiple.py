"""Several claims at once: what is left of each when they are taken together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from llmops.stats.units import Floats


def holm(p_values: ArrayLike) -> Floats:
    """P-values adjusted so that the chance of *any* false claim keeps its level.

    Valid under any dependence (Holm 1979, Scand. J. Statist. 6(2), 65-70).

    Args:
        p_values: Shape (k,).

    Returns:
        Adjusted p-values in the same order; reject those at most alpha.

    Raises:
        ValueError: Not one dimension, or a number outside [0, 1].
    """
    p = _checked(p_values)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    raised = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted[order] = np.minimum(1.0, raised)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """P-values adjusted so that the expected *share* of false claims keeps its level.

    Valid for independent and positively dependent tests (Benjamini & Hochberg 1995, J. R. Stat.
    Soc. B 57(1), 289-300; Benjamini & Yekutieli 2001, Ann. Statist. 29(4), 1165-1188).

    Args:
        p_values: Shape (k,).

    Returns:
        Adjusted p-values in the same order; reject those at most alpha.

    Raises:
        ValueError: Not one dimension, or a number outside [0, 1].
    """
    p = _checked(p_values)
    if p.size < 2:
        return p
    from scipy import stats  # here: it takes half a second to import, and most runs have no slices

    return np.asarray(stats.false_discovery_control(p, method="bh"), np.float64)


def e_holm(e_values: ArrayLike) -> Floats:
    """Holm's adjustment of e-values, for claims that are looked at again and again.

    1 / e is a p-value at any time (Vovk & Wang 2021, Ann. Statist. 49(3), 1736-1754, section 2).

    Args:
        e_values: At least 0, infinity included, shape (k,).

    Returns:
        Adjusted p-values in the same order.

    Raises:
        ValueError: Not one dimension, NaN or a negative number.
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
