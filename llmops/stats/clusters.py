"""How much clusters of unequal sizes are worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def worth(sizes: ArrayLike) -> float:
    """Return the number of clusters of equal size that clusters of these sizes are worth.

    This is Kish's effective number (1965, Survey Sampling), sum(sizes)^2 / sum(sizes^2): the number
    of clusters if all have the same size, and close to 1 if one of them holds nearly everything.

    Args:
        sizes: Number of prompts of each cluster, shape (G,); not all 0.
    """
    counts = np.asarray(sizes, dtype=np.float64)
    return float(counts.sum() ** 2 / (counts @ counts))
