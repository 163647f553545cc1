"""The clusters of prompts by name, and how much clusters of unequal sizes are worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def indices(names: Sequence[str]) -> NDArray[np.intp]:
    """Return the place of each prompt's cluster among the sorted names of all clusters, shape (n,).

    Not ``numpy.unique``: an array of texts reserves the length of the longest for each of them, so one
    name of a megabyte would need gigabytes, and takes names that differ in a final NUL for the same.

    Args:
        names: Cluster name of each prompt, shape (n,).
    """
    texts = [str(name) for name in names]
    places = {name: place for place, name in enumerate(sorted(set(texts)))}
    return np.array([places[text] for text in texts], dtype=np.intp)


def worth(sizes: ArrayLike) -> float:
    """Return the number of clusters of equal size that clusters of these sizes are worth.

    This is Kish's effective number (1965, Survey Sampling), sum(sizes)^2 / sum(sizes^2): the number
    of clusters if all have the same size, and close to 1 if one of them holds nearly everything.

    Args:
        sizes: Number of prompts of each cluster, shape (G,); not all 0.
    """
    counts = np.asarray(sizes, dtype=np.float64)
    return float(counts.sum() ** 2 / (counts @ counts))
