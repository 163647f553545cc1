"""Early stopping: a suite is asked block by block until every question is decided.

Each question has its own sequential test (``llmops.stats.sequential``), whose bounds hold although
the number of prompts depends on the answers. The method ``fixed`` has a single block. Everything mirrors:
swapped sides meet the same prompts and get the opposite verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from llmops.recipe.schema import Requirement
from llmops.records import Example, MetricResult, Row
from llmops.stats.paired import detectable_with, paired_test
from llmops.stats.plan import blocks, spread_blocks
from llmops.stats.result import E_SHARES, Method
from llmops.stats.sequential import SequentialTest

Ask = Callable[[Sequence[int]], list[list[Row]]]
"""A function that asks all sides the examples with these indices: rows of each candidate."""


@dataclass(frozen=True)
class Plan:
    """The design of a comparison: its method, its questions, and when it may stop.

    Attributes:
        method: See ``llmops.stats.sequential``.
        block: Prompts between two looks.
        confidence: Confidence of the two-sided intervals.
        questions: Requirements that must be decided before it stops; a failed one also stops it.
        min_prompts: Number of prompts that count (see ``comparable``) before which it does not stop.
        seed: Seed of the order of prompts; see ``llmops.stats.plan``.
        whole: Whether it stops early on a failed question only, as something else needs every prompt.
    """

    method: Method
    block: int
    confidence: float
    questions: tuple[Requirement, ...]
    min_prompts: int = 0
    seed: int = 0
    whole: bool = False


class CandidateResult(NamedTuple):
    """Rows and test results of a candidate.

    Attributes:
        rows: Rows of every prompt that was asked, in the order of the suite.
        metrics: Results over the rows that count (see ``comparable``).
        note: Where and why it stopped; ``None`` if every prompt was asked.
        available: Number of prompts that could be asked.
    """

    rows: tuple[Row, ...]
    metrics: tuple[MetricResult, ...]
    note: str | None
    available: int


def ask_until_decided(
    ask: Ask, examples: Sequence[Example], metrics: Sequence[str], plan: Plan, candidates: int = 1
) -> list[CandidateResult]:
    """Ask block by block until every question is decided for every candidate.

    Args:
        ask: Function that answers and scores a block; see ``Ask``.
        examples: Prompts that can be asked.
        metrics: Names of the scores in the rows.
        plan: Method and questions.
        candidates: Number of candidates; their intervals hold simultaneously (Bonferroni).

    Returns:
        The result of each candidate.
    """
    tests = [_CandidateTests(metrics, plan, examples, candidates) for _ in range(candidates)]
    rows_of: list[dict[int, Row]] = [{} for _ in tests]
    for indices in _order(examples, plan):
        for rows, candidate, known in zip(ask(indices), tests, rows_of, strict=True):
            known.update(zip(indices, rows, strict=True))
            candidate.update(rows)
        if all(candidate.decided for candidate in tests):
            break
    return [
        candidate.result(tuple(known[i] for i in sorted(known)), len(examples))
        for candidate, known in zip(tests, rows_of, strict=True)
    ]


def comparable(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that count: those in which at least one side answered."""
    return [row for row in rows if not row.failed]


def _order(examples: Sequence[Example], plan: Plan) -> Iterator[list[int]]:
    """Yield the indices of each block; the e-process needs whole clusters, the tests do not."""
    clusters = [example.cluster for example in examples]
    if plan.method == "fixed":
        yield list(range(len(clusters)))
        return
    cut = blocks if plan.method in E_SHARES else spread_blocks
    for indices in cut(len(clusters), plan.block, plan.seed, clusters):
        yield [int(i) for i in indices]


class _CandidateTests:
    """The tests of one candidate against the baseline, one or more for each metric."""

    def __init__(
        self, metrics: Sequence[str], plan: Plan, examples: Sequence[Example], family: int
    ) -> None:
        self._plan, self._counting = plan, 0
        clusters = Counter(example.cluster for example in examples)

        def test(must: str, margin: float, *, decides: bool) -> SequentialTest:
            return SequentialTest(
                must,  # type: ignore[arg-type]
                margin,
                cap=len(examples),
                method=plan.method,
                alpha=(1 - plan.confidence) / 2 / family,
                largest_cluster=max(clusters.values()),
                decides=decides,
            )

        self._metrics = [_MetricTests(name, plan, test) for name in metrics]

    @property
    def decided(self) -> bool:
        answers = [answer for metric in self._metrics for answer in metric.answers]
        enough = self._counting >= self._plan.min_prompts
        shown = None not in answers and not self._plan.whole
        return enough and (False in answers or shown)

    def update(self, rows: Sequence[Row]) -> None:
        counting = comparable(rows)
        self._counting += len(counting)
        if counting:
            for metric in self._metrics:
                metric.update(counting)

    def result(self, rows: tuple[Row, ...], available: int) -> CandidateResult:
        counting = comparable(rows)
        whole = len(rows) == available
        metrics = tuple(metric.result(counting, whole=whole) for metric in self._metrics)
        note = None if whole else self._note(len(rows), available)
        return CandidateResult(rows, metrics, note, available)

    def _note(self, asked: int, available: int) -> str:
        names = list(dict.fromkeys(question.metric for question in self._plan.questions))
        verb = "was" if len(names) == 1 else "were"
        return (
            f"stopped after {asked} of {available} prompts: {' and '.join(names)} {verb} decided"
            f" ({self._plan.method}); intervals and p-values allow for the looks, but a difference at"
            " an early stop tends to be too large: rely on the interval"
        )


class _MetricTests:
    """The tests of one metric: one for each question about it, or one that decides nothing."""

    def __init__(self, name: str, plan: Plan, test: Callable[..., SequentialTest]) -> None:
        self.name, self._plan = name, plan
        questions = [question for question in plan.questions if question.metric == name]
        self._asked = [test(q.must, q.margin, decides=True) for q in questions]
        self._tests = self._asked or [test("improve", 0.0, decides=False)]
        losses = [question.margin for question in questions if question.must == "not_regress"]
        self._margin = min(losses, default=None)
        self._scores: set[float] = set()

    @property
    def answers(self) -> list[bool | None]:
        """Return the answers so far to the questions about this metric; ``None`` means undecided.

        A metric that is 0 for every answer of both sides, or 1 for every one, answers nothing.
        """
        if is_uninformative(self._scores):
            return [None for _ in self._asked]
        return [test.passed for test in self._asked]

    def update(self, rows: Sequence[Row]) -> None:
        before = [row.baseline_scores[self.name] for row in rows]
        after = [row.candidate_scores[self.name] for row in rows]
        self._scores.update(before, after)
        gains = [new - old for old, new in zip(before, after, strict=True)]
        clusters = [row.example.cluster for row in rows]
        for test in self._tests:
            test.update(gains, clusters, after)

    def result(self, rows: Sequence[Row], *, whole: bool) -> MetricResult:
        """Return the metric over the rows, with bounds and p-value that are valid under the method."""
        before = [row.baseline_scores[self.name] for row in rows]
        after = [row.candidate_scores[self.name] for row in rows]
        clusters = [row.example.cluster for row in rows]
        plain = paired_test(before, after, clusters, confidence=self._plan.confidence)
        # Prompts that failed on both sides leave fewer than the cap: force the final test.
        results = [test.finish() if whole else test.result() for test in self._tests]
        smallest = min(test.p_value(below=below) for test in self._tests for below in (False, True))
        low, high = max(each.low for each in results), min(each.high for each in results)
        held = replace(
            plain,
            low=low,
            high=high,
            p_value=min(1.0, 2 * smallest),
            detectable=max(plain.detectable, detectable_with(low, high, plain.confidence)),
        )
        old, new = (sum(scores) / len(scores) for scores in (before, after))
        return MetricResult(self.name, old, new, held, self._margin)


def is_uninformative(scores: Collection[float]) -> bool:
    """Return whether a metric is 0, or 1, for every answer of both sides, and so says nothing."""
    return set(scores) in ({0.0}, {1.0})
