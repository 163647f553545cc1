"""What a comparison measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmops.records.answers import Answer, Example
from llmops.records.models import Side


@dataclass(frozen=True)
class PairedTest:
    """A paired comparison of one metric; see ``llmops.stats.paired``.

    Attributes:
        difference: Mean of candidate minus baseline.
        low: Lower end of the two-sided confidence interval.
        high: Upper end.
        p_value: Two-sided, of the hypothesis that the mean difference is zero.
        n: Pairs.
        clusters: Independent clusters among them.
        detectable: Smallest true difference found with 80% power at this n.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    clusters: int
    wins: int
    ties: int
    losses: int
    confidence: float
    detectable: float


@dataclass(frozen=True)
class MetricResult:
    """One metric of both sides over the suite, with its paired test.

    Attributes:
        margin: Loss that was said to be tolerated; ``None`` if that was not asked.
    """

    metric: str
    baseline: float
    candidate: float
    test: PairedTest
    margin: float | None = None


@dataclass(frozen=True)
class IntervalPoint:
    """The paired difference over the first prompts of a random order.

    Attributes:
        prompts: Number of prompts so far.
        difference: Mean of candidate minus baseline, in [-1, 1].
        low: Lower end of the two-sided interval of a suite fixed at this size.
        high: Upper end.
    """

    prompts: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Trajectory:
    """How the interval of one metric narrows as prompts are added; it decides nothing.

    Attributes:
        metric: Name of the metric.
        points: Up to 20 sizes in ascending order; the last holds every prompt that counts. Empty
            if no prompt counts.
        reported_is_wider: Whether the interval that is reported allows for more than a number of
            prompts fixed ahead: for looks on the way, or for several candidates.
    """

    metric: str
    points: tuple[IntervalPoint, ...]
    reported_is_wider: bool = False


@dataclass(frozen=True)
class Row:
    """One prompt, both answers, all scores (metric → score in [0, 1])."""

    example: Example
    baseline: Answer
    candidate: Answer
    baseline_scores: Mapping[str, float]
    candidate_scores: Mapping[str, float]

    @property
    def failed(self) -> bool:
        """Say whether neither side gave an answer, so that nothing can be compared."""
        return self.baseline.error is not None and self.candidate.error is not None


@dataclass(frozen=True)
class SliceResult:
    """The paired difference of one metric on one slice.

    Attributes:
        key: Name of the tag, such as ``topic``.
        value: Its value, such as ``billing``.
        n: Rows.
        difference: Mean of candidate minus baseline, in [-1, 1].
        low: Lower end of the two-sided interval; -1 if the slice is a single cluster.
        high: Upper end; 1 likewise.
        p_value: Two-sided, of "both sides are alike on this slice"; exact.
        p_adjusted: The same, all tested slices taken together: of the slices with at most q, a share
            of q is expected to be there by chance.
        wins: Rows that the candidate wins.
        ties: Rows without a difference.
        losses: Rows that the candidate loses.
    """

    key: str
    value: str
    n: int
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class SmallSlice:
    """A slice of too few rows to be tested.

    Attributes:
        key: Name of the tag.
        value: Its value.
        n: Rows.
    """

    key: str
    value: str
    n: int


@dataclass(frozen=True)
class Comparison:
    """A finished comparison of two sides on one suite.

    Attributes:
        metrics: Over the rows that count: those where not both sides failed.
        rows: Of every prompt that was asked.
        method: See ``llmops.stats.sequential``.
        available: Prompts that could have been asked.
        nll: Mean negative log-likelihood per expected token, (baseline, candidate), in nats;
            ``None`` without expected answers, or if a side's weights are not here.
        notes: What a reader must know: identical bytes, identical outputs, failed prompts.
        trained: Rows of prompts that a side was trained on: no part of the metrics.
        run_id: MLflow parent run of the comparison.
        slices: Results by slice of the first metric, and the slices too small for one.
        traced: Whether each answer is a trace in MLflow.
        trajectories: How the interval narrows, of each metric that a report leads with: the first
            one, and the first that a question is about. No part of the evidence.
    """

    baseline: Side
    candidate: Side
    suite_name: str
    suite_digest: str
    metrics: tuple[MetricResult, ...]
    rows: tuple[Row, ...]
    method: str
    available: int
    nll: tuple[float, float] | None
    notes: tuple[str, ...]
    seconds: float
    run_id: str
    experiment_id: str
    child_run_ids: tuple[str, str]
    trained: tuple[Row, ...] = ()
    slices: tuple[SliceResult | SmallSlice, ...] = ()
    traced: bool = True
    trajectories: tuple[Trajectory, ...] = ()

    def metric(self, name: str) -> MetricResult:
        """Return the result of one metric.

        Raises:
            KeyError: The comparison did not compute it.
        """
        for result in self.metrics:
            if result.metric == name:
                return result
        raise KeyError(name)

    def trajectory(self, metric: str) -> Trajectory:
        """Return how the interval of one metric narrows; without points if it was not computed."""
        found = (one for one in self.trajectories if one.metric == metric)
        return next(found, Trajectory(metric, ()))


@dataclass(frozen=True)
class Standing:
    """One side among several.

    Attributes:
        score: Mean of the first metric.
        result: That metric against the baseline; ``None`` for the baseline itself.
        p_holm: Its p-value, adjusted for the number of candidates.
        strength: Bradley-Terry strength (log odds against the average side) and its standard
            error; ``None`` if there is no common scale.
    """

    side: Side
    score: float
    result: MetricResult | None
    p_holm: float | None
    strength: tuple[float, float] | None
