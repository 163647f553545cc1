"""Asking a suite block by block, and stopping as soon as the first metric is decided.

Each metric has a test of its own on each side of zero (``llmops.stats.sequential``), so its interval
and p-value hold although the number of prompts depends on the answers. ``fixed`` has one block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from llmops.records import MetricResult, PairedTest, Row, Suite
from llmops.stats import paired_test
from llmops.stats.plan import blocks, seed_of
from llmops.stats.result import Method
from llmops.stats.sequential import SequentialTest

Ask = Callable[[Sequence[int]], list[Row]]
"""Asks both sides the examples with these indices."""


class Looked(NamedTuple):
    """What was asked, and what it shows.

    Attributes:
        rows: In the order of the suite.
        note: Where and why it stopped; ``None`` if every prompt was asked.
    """

    rows: tuple[Row, ...]
    metrics: tuple[MetricResult, ...]
    note: str | None


def look(
    ask: Ask,
    suite: Suite,
    metrics: Sequence[str],
    sides: tuple[str, str],
    *,
    method: Method,
    block: int,
    confidence: float,
) -> Looked:
    """Asks until the first metric is decided.

    Args:
        ask: See ``Ask``.
        suite: What can be asked.
        metrics: Their first decides.
        sides: Digests of both; with the suite's they seed the order.
        method: See ``llmops.stats.sequential``.
        block: Prompts between two looks; a cluster is never cut.
        confidence: Of the two-sided intervals.
    """
    clusters = [example.cluster for example in suite.examples]
    tests = [_Both(metric, method, clusters, confidence) for metric in metrics]
    found: dict[int, Row] = {}
    order = blocks(len(clusters), block, seed_of(suite.digest, *sides), clusters)
    for indices in [range(len(clusters))] if method == "fixed" else order:
        rows = ask([int(i) for i in indices])
        found.update(zip(map(int, indices), rows, strict=True))
        for test in tests:
            test.update(rows)
        if tests[0].decided:
            break
    asked = tuple(found[i] for i in sorted(found))
    return Looked(
        asked, tuple(test.result(asked) for test in tests), _note(tests[0], len(asked), suite)
    )


class _Both:
    """One metric's tests: is the candidate better, is it worse."""

    def __init__(
        self, metric: str, method: Method, clusters: Sequence[str], confidence: float
    ) -> None:
        self.metric, self.method, self._confidence = metric, method, confidence
        largest = max(Counter(clusters).values())
        self._up, self._down = (
            SequentialTest(
                "improve",
                0.0,
                cap=len(clusters),
                method=method,
                alpha=(1 - confidence) / 2,
                largest_cluster=largest,
            )
            for _ in range(2)
        )

    @property
    def decided(self) -> bool:
        return self._up.done

    def update(self, rows: Sequence[Row]) -> None:
        """Adds a block, unless this metric was decided before."""
        gains = [
            row.candidate_scores[self.metric] - row.baseline_scores[self.metric] for row in rows
        ]
        clusters = [row.example.cluster for row in rows]
        for test, sign in ((self._up, 1), (self._down, -1)):
            if not test.done:
                test.update([sign * gain for gain in gains], clusters)

    def result(self, rows: Sequence[Row]) -> MetricResult:
        before = [row.baseline_scores[self.metric] for row in rows]
        after = [row.candidate_scores[self.metric] for row in rows]
        test = paired_test(
            before, after, [row.example.cluster for row in rows], confidence=self._confidence
        )
        return MetricResult(
            self.metric, sum(before) / len(before), sum(after) / len(after), self._corrected(test)
        )

    def _corrected(self, test: PairedTest) -> PairedTest:
        """With the interval and p-value that hold at a chosen moment."""
        if self.method == "fixed":
            return test
        found = self._up.result()
        chances = [side.result().p_overall for side in (self._up, self._down)]
        known = [chance for chance in chances if chance is not None]
        p_value = min(1.0, 2 * min(known)) if known else float("nan")
        return replace(test, low=found.low, high=found.high, p_value=p_value)


def _note(test: _Both, asked: int, suite: Suite) -> str | None:
    if asked == len(suite.examples):
        return None
    return (
        f"stopped after {asked} of {len(suite.examples)} prompts: {test.metric} was decided"
        f" ({test.method}); its interval and p-value allow for the looks"
    )
