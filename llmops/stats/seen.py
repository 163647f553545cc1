"""The observations of a sequential comparison so far, block by block, and what looks at them test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmops.stats.units import Units, joined, units_of


class Look(NamedTuple):
    """A test: the observations, the times of all looks so far, and the level of this test."""

    units: Units
    times: tuple[float, ...]
    level: float


class Claim(NamedTuple):
    """The claim that the difference is above a bound, or below it."""

    bound: float
    below: bool


class Seen:
    """The prompts seen so far, as independent units.

    Args:
        largest: Prompts of the largest cluster of the suite.
        whole: Whether every block must hold whole clusters.

    Attributes:
        n: Number of prompts.
        signs: Number of prompts with a negative difference, of 0, and positive.
    """

    def __init__(self, largest: int, *, whole: bool) -> None:
        self.largest, self.n = largest, 0
        self.signs = (0, 0, 0)
        self._whole = whole
        self._blocks: list[Units] = []
        self._names: list[list[str]] = []
        self._units: Units | None = None

    def add(
        self,
        differences: ArrayLike,
        clusters: Sequence[str] | None,
        candidate: ArrayLike | None,
    ) -> Units:
        """Add a block, and return its units; see ``SequentialTest.update``.

        Raises:
            ValueError: An array is invalid, a cluster spans two blocks although it must not, or has
                more prompts than ``largest``.
        """
        block = units_of(differences, clusters, candidate)
        if block.sums.size == 0:
            return block
        names = [] if clusters is None else sorted({str(name) for name in clusters})
        if self._whole:
            self._accept(block, names)
        self._blocks.append(block)
        self._names.append(names)
        self._units = None
        self.n += int(block.sizes.sum())
        signs = np.sign(np.asarray(differences, dtype=np.float64))
        losses, ties, wins = (int(np.sum(signs == sign)) for sign in (-1, 0, 1))
        self.signs = (self.signs[0] + losses, self.signs[1] + ties, self.signs[2] + wins)
        return block

    def units(self) -> Units:
        """Return all units so far; a cluster that came in several blocks is one unit."""
        if self._units is None:
            self._units = joined(self._blocks)
            if not self._whole and len(self._blocks) > 1 and self._names[0]:
                self._units = _merged(self._units, [name for part in self._names for name in part])
        return self._units

    def block_ends(self) -> NDArray[np.intp]:
        """Return the number of units after each block, ascending."""
        return np.cumsum([block.sums.size for block in self._blocks])

    def _accept(self, block: Units, names: Sequence[str]) -> None:
        known = {name for part in self._names for name in part}
        if again := known & set(names):
            raise ValueError(f"cluster {min(again)!r} is in two blocks: keep its prompts in one")
        if block.sizes.max() > self.largest:
            raise ValueError(
                f"a cluster has {int(block.sizes.max())} prompts, largest_cluster is {self.largest}"
            )


def _merged(units: Units, names: Sequence[str]) -> Units:
    """Return the units with those of the same name added up."""
    index: dict[str, int] = {}
    place = [index.setdefault(name, len(index)) for name in names]
    columns = (units.sums, units.sizes, units.falls, units.rises)
    return Units(*(np.bincount(place, weights=c).astype(np.float64) for c in columns))
