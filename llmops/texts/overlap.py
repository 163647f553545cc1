"""The share of each prompt that occurs in one training text, ignoring boilerplate.

A run is an n-gram of words (``ngrams.py``). A *telling* run is one that few clusters of the suite and
few training texts contain; other runs are boilerplate, such as an instruction template.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from llmops.texts.ngrams import Index, Ints, Texts

SUITE_SHARE, SUITE_FEWEST = 0.05, 3
"""A run in more clusters of the suite than the larger of both is boilerplate. Clusters, not prompts:
five questions about one passage count as one occurrence of the passage."""
TRAINING_SHARE, TRAINING_FEWEST = 0.01, 10
"""The same for training texts. Ten, so that a prompt that is trained on in ten wordings is found."""
MOST, MOST_PAIRS = 100, 500
"""Training texts that may share a telling run of many words (a pair of words), at most: more of them
do not share it by leakage, and the time grows with the square of their number."""
ROWS = 1_000
"""Training texts compared with the suite at a time: keeps the counts below 120 MB."""
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prompts:
    """The p prompts of a suite.

    Attributes:
        texts: Text of each prompt.
        clusters: Cluster number of each prompt, from 0, shape (p,).
    """

    texts: Texts
    clusters: Ints


class _Shared(NamedTuple):
    """Pairs of a prompt and a training text that share a telling run.

    Attributes:
        prompts: Number of the prompt, shape (s,).
        runs: Number of distinct telling runs that both share, shape (s,).
        theirs: Number of runs of the training text, shape (s,).
    """

    prompts: Ints
    runs: Ints
    theirs: Ints


class _Part(NamedTuple):
    """Runs of the suite in a part of the training texts.

    Attributes:
        texts: Number of the text within the part, from 0, ascending, shape (r,).
        runs: Position of the run in the index, shape (r,).
        strange: Number of other runs of each text, shape (texts,).
    """

    texts: Ints
    runs: Ints
    strange: Ints


def contained(prompts: Prompts, training: Texts, n: int) -> Floats:
    """Return the largest share of each prompt's runs of n words that one training text contains.

    Returns:
        Shares in [0, 1], shape (p,); 0 for a prompt that is boilerplate or shorter than n words.
    """
    runs = _Runs(prompts, training, n, most=MOST)
    best = np.zeros(len(prompts.texts))
    for shared in runs.shared():
        np.maximum.at(best, shared.prompts, shared.runs / runs.sizes[shared.prompts])
    return best


def alike(prompts: Prompts, training: Texts, n: int, fewest: int) -> Floats:
    """Return the largest Jaccard index between the runs of each prompt and of a training text.

    Args:
        prompts: Prompts of the suite.
        training: Training texts, numbered by the same words.
        n: Number of words in a run.
        fewest: Runs that a prompt must have; the index of fewer is not meaningful, and returned
            as 0.

    Returns:
        Indices in [0, 1], shape (p,).
    """
    runs = _Runs(prompts, training, n, most=MOST_PAIRS)
    best = np.zeros(len(prompts.texts))
    for shared in runs.shared():
        union = runs.sizes[shared.prompts] + shared.theirs - shared.runs
        np.maximum.at(best, shared.prompts, shared.runs / union)
    best[runs.sizes < fewest] = 0
    return best


class _Runs:
    """The telling runs of n words.

    Args:
        prompts: Prompts of the suite.
        training: Training texts, numbered by the same words.
        n: Number of words in a run.
        most: Most training texts that may share a telling run, whatever their share.

    Attributes:
        sizes: Number of distinct telling runs of each prompt, shape (p,).
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
        """Return the runs that each part of the training data shares; update the telling ones."""
        counts = np.zeros(len(self._index), np.int64)
        parts = []
        for start, stop in training.parts():
            hashes, owners, strange = training.runs(n, start, stop)
            texts, runs = self._index.pairs(hashes, owners - start)
            counts += self._index.owners((texts, runs))
            self._telling &= counts <= limit
            kept = self._telling[runs]  # drops most pairs of common words, which are numerous
            parts.append(_Part(texts[kept].astype(np.int32), runs[kept].astype(np.int32), strange))
        return parts

    def shared(self) -> Iterator[_Shared]:
        """Yield the pairs that share a telling run, part by part."""
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
        """Return a sparse matrix with a row for each text and a 1 for each telling run in it."""
        texts, runs = (half[self._telling[pairs[1]]] for half in pairs)
        ones = np.ones(texts.size, np.int32)
        return sparse.csr_array((ones, (texts, runs)), shape=(rows, len(self._index)))
