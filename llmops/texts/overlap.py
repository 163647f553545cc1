"""How much of each prompt stands in one training text, apart from what many texts share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from llmops.texts.ngrams import Index, Ints, Texts

SUITE_SHARE, SUITE_FEWEST = 0.05, 3
"""A run in more of the suite's clusters than the larger of both says nothing: an instruction template.
Clusters, not prompts: five questions about one passage are one place where the passage stands."""
TRAINING_SHARE, TRAINING_FEWEST = 0.01, 10
"""The same for training texts. Ten, so that a prompt which was trained on in ten wordings is found."""
MOST, MOST_PAIRS = 100, 500
"""More training texts than that share no run of many words (no pair of words) by leakage, however many
texts there are; and the time grows with the square of a template's spread."""
ROWS = 1_000
"""Training texts that are compared with the suite at once: keeps the counts below 120 MB."""
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prompts:
    """The suite's side.

    Attributes:
        texts: One for each prompt.
        clusters: Number of each prompt's cluster, from 0, shape (p,).
    """

    texts: Texts
    clusters: Ints


class _Shared(NamedTuple):
    """Pairs of a prompt and a training text that share a telling run.

    Attributes:
        prompts: Shape (s,).
        runs: How many distinct ones they share, shape (s,).
        theirs: How many the training text has, shape (s,).
    """

    prompts: Ints
    runs: Ints
    theirs: Ints


class _Part(NamedTuple):
    """Runs of the suite that a part of the training texts has.

    Attributes:
        texts: From 0, ascending, shape (r,).
        runs: Position in the index, shape (r,).
        strange: How many other runs each text has, shape (texts,).
    """

    texts: Ints
    runs: Ints
    strange: Ints


def contained(prompts: Prompts, training: Texts, n: int) -> Floats:
    """The largest share of a prompt's runs of n words that one training text has.

    Returns:
        In [0, 1], shape (p,); 0 for a prompt of fewer than n words or of boilerplate alone.
    """
    runs = _Runs(prompts, training, n, most=MOST)
    best = np.zeros(len(prompts.texts))
    for shared in runs.shared():
        np.maximum.at(best, shared.prompts, shared.runs / runs.sizes[shared.prompts])
    return best


def alike(prompts: Prompts, training: Texts, n: int, fewest: int) -> Floats:
    """The largest Jaccard index of a prompt's runs of n words and those of a training text.

    Args:
        prompts: See ``Prompts``.
        training: Numbered by the same words.
        n: Words in a run.
        fewest: Runs a prompt must have; the index of fewer says little.

    Returns:
        In [0, 1], shape (p,).
    """
    runs = _Runs(prompts, training, n, most=MOST_PAIRS)
    best = np.zeros(len(prompts.texts))
    for shared in runs.shared():
        union = runs.sizes[shared.prompts] + shared.theirs - shared.runs
        np.maximum.at(best, shared.prompts, shared.runs / union)
    best[runs.sizes < fewest] = 0
    return best


class _Runs:
    """The telling runs of n words: those that few clusters of the suite and few training texts have.

    Args:
        prompts: See ``Prompts``.
        training: Numbered by the same words.
        n: Words in a run.
        most: Training texts that may have a telling run, whatever their share.

    Attributes:
        sizes: Distinct telling runs of each prompt, shape (p,).
    """

    def __init__(self, prompts: Prompts, training: Texts, n: int, *, most: int) -> None:
        hashes, owners, _ = prompts.texts.runs(n, 0, len(prompts.texts))
        self._index = Index(hashes)
        within = self._index.owners(self._index.pairs(hashes, prompts.clusters[owners]))
        clusters = int(prompts.clusters.max(initial=-1)) + 1
        self._telling: Bools = within <= max(SUITE_FEWEST, SUITE_SHARE * clusters)
        limit = min(most, TRAINING_SHARE * len(training))
        self._theirs = self._read(training, n, max(TRAINING_FEWEST, limit))
        pairs = self._index.pairs(hashes, owners)
        self.sizes = np.bincount(pairs[0][self._telling[pairs[1]]], minlength=len(prompts.texts))
        self._ours = self._matrix(pairs, len(prompts.texts))

    def _read(self, training: Texts, n: int, limit: float) -> list[_Part]:
        """What each part of the training data shares; decides which runs are telling."""
        counts = np.zeros(len(self._index), np.int64)
        parts = []
        for start, stop in training.parts():
            hashes, owners, strange = training.runs(n, start, stop)
            texts, runs = self._index.pairs(hashes, owners - start)
            counts += self._index.owners((texts, runs))
            self._telling &= counts <= limit
            kept = self._telling[runs]  # drops most pairs of common words, of which there are many
            parts.append(_Part(texts[kept].astype(np.int32), runs[kept].astype(np.int32), strange))
        return parts

    def shared(self) -> Iterator[_Shared]:
        """Pairs that share a run, part by part."""
        for part in self._theirs:
            telling = self._telling[part.runs]
            texts, runs = part.texts[telling], part.runs[telling]
            theirs = np.bincount(texts, minlength=part.strange.size) + part.strange
            for start in range(0, part.strange.size, ROWS):
                first, last = np.searchsorted(texts, [start, start + ROWS])
                some = self._matrix((texts[first:last] - start, runs[first:last]), ROWS)
                common = (self._ours @ some.T).tocoo()
                yield _Shared(common.row, common.data, theirs[start + common.col])

    def _matrix(self, pairs: tuple[Ints, Ints], rows: int) -> Any:
        """A row for each text, a one for each telling run in it."""
        texts, runs = (half[self._telling[pairs[1]]] for half in pairs)
        ones = np.ones(texts.size, np.int32)
        return sparse.csr_array((ones, (texts, runs)), shape=(rows, len(self._index)))
