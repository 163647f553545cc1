"""N-grams of words as hashes in arrays, which finds shared n-grams without comparing pairs of texts.

A *run* here is an n-gram of words. Each word of the suite has its own number; any other word is 0,
and a run with a 0 cannot be in the suite. The hash of a run is a 64-bit polynomial of random numbers
of its words: among 10^7 runs of training data and 10^6 of a suite, the probability of a single
collision is one in a million.
Not datasketch: it estimates, and a short prompt inside a long text needs exact containment.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.signedinteger]
Hashes = NDArray[np.uint64]

PART = 1_000_000
"""Words processed at a time, more only for a longer single text: about 60 MB of arrays."""
TOP = 22
"""Leading bits of a hash that exclude most runs before the lookup: a table of 4 MiB."""
BASE = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no power of it vanishes modulo 2^64."""


class Texts:
    """Texts as the numbers of their words.

    Args:
        numbers: Word → number above 0.
    """

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._number = numbers.get
        self._ids = array("i")
        self._ends = array("q", [0])
        rng = np.random.default_rng(0)
        self._random = rng.integers(0, 2**64, len(numbers) + 1, np.uint64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, words: Sequence[str]) -> None:
        """Add a text, given as its words."""
        number = self._number
        self._ids.extend([number(word, 0) for word in words])
        self._ends.append(len(self._ids))

    def parts(self) -> Iterator[tuple[int, int]]:
        """Yield (start, stop) of consecutive groups of texts with up to ``PART`` words."""
        ends, start = np.asarray(self._ends), 0
        while start < len(self):
            stop = int(np.searchsorted(ends, ends[start] + PART, side="right")) - 1
            stop = max(start + 1, stop)
            yield start, stop
            start = stop

    def runs(self, n: int, start: int, stop: int) -> tuple[Hashes, Ints, Ints]:
        """Return the runs of n words in the texts ``start`` to ``stop - 1``.

        Returns:
            Hashes of the runs of known words, shape (r,); the text of each, shape (r,); and the
            number of runs with an unknown word in each text, shape (stop - start,).
        """
        ends = np.asarray(self._ends)[start : stop + 1]
        ids = np.frombuffer(self._ids, np.int32)[ends[0] : ends[-1]]
        texts = np.repeat(np.arange(start, stop), np.diff(ends))
        size = max(0, ids.size - n + 1)
        hashes = self._hashes(ids, n)
        gaps = np.cumsum(np.concatenate([[0], ids == 0]))
        known = gaps[n : n + size] == gaps[:size]
        whole = texts[:size] == texts[n - 1 : n - 1 + size]  # not across two texts
        strange = np.bincount(texts[:size][whole & ~known] - start, minlength=stop - start)
        return hashes[whole & known], texts[:size][whole & known], strange

    def _hashes(self, ids: NDArray[np.int32], n: int) -> Hashes:
        """Return the hashes of all runs of n words, by halving: five steps for 13 words."""
        if ids.size < n:
            return np.zeros(0, np.uint64)
        if n == 1:
            return self._random[ids]
        half = n // 2
        halves = self._hashes(ids, half)
        power = np.uint64(pow(int(BASE), half, 2**64))
        hashes = halves[:-half] * power + halves[half:]
        return hashes if n % 2 == 0 else hashes[:-1] * BASE + self._random[ids[n - 1 :]]


class Index:
    """The distinct runs of a suite.

    Args:
        hashes: Hashes of all runs, repeated ones included, shape (r,).
    """

    def __init__(self, hashes: Hashes) -> None:
        import pandas as pd

        # A hash table: ten times as fast here as numpy's search in a sorted array.
        self._distinct = pd.Index(_distinct(hashes))
        self._maybe = np.zeros(2**TOP, bool)
        self._maybe[hashes >> (64 - TOP)] = True

    def __len__(self) -> int:
        return len(self._distinct)

    def pairs(self, hashes: Hashes, owners: Ints) -> tuple[Ints, Ints]:
        """Return distinct pairs (owner, position in this index) of the runs that are in it.

        Args:
            hashes: Hashes of runs, shape (r,).
            owners: Number of the text or cluster of each run, at least 0, shape (r,).

        Returns:
            Owners and positions, shapes (pairs,).
        """
        maybe = self._maybe[hashes >> (64 - TOP)]
        at = self._distinct.get_indexer(hashes[maybe])
        present, size = at >= 0, max(1, len(self))
        both = _distinct(owners[maybe][present] * size + at[present])
        return np.divmod(both, size)

    def owners(self, pairs: tuple[Ints, Ints]) -> Ints:
        """Return the number of owners of each run, shape (len(self),)."""
        return np.bincount(pairs[1], minlength=len(self))


def _distinct(values: Any) -> Any:
    """Return sorted distinct values; ``numpy.unique`` hashes, which takes ten times as long here."""
    values = np.sort(values)
    first = np.ones(values.size, bool)
    first[1:] = values[1:] != values[:-1]
    return values[first]
