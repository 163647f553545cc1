"""Records of a comparison: paired tests, rows, slices, trajectories, standings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmops.records.answers import Answer, Example
from llmops.records.frozen import Frozen
from llmops.records.labels import HumanLabels
from llmops.records.models import Side
from llmops.records.shown import Shown


@dataclass(frozen=True)
class PairedTest:
    """A paired test of one metric; see ``llmops.stats.paired``.

    Attributes:
        difference: Mean of candidate minus baseline, in [-1, 1].
        low: Lower end of the two-sided confidence interval of the difference.
        high: Upper end of the interval.
        p_value: Two-sided p-value of the hypothesis that the mean difference is zero; NaN if the
            method does not define it.
        n: Number of pairs.
        clusters: Number of independent clusters.
        wins: Number of pairs in which the candidate scores higher.
        ties: Number of pairs with equal scores.
        losses: Number of pairs in which the candidate scores lower.
        confidence: Confidence of the interval, such as 0.95.
        detectable: Minimum detectable effect (MDE): the smallest true difference found with 80%
            power at this n.
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
        metric: Name of the metric.
        baseline: Mean score of the baseline, in [0, 1].
        candidate: Mean score of the candidate, in [0, 1].
        test: Paired test of the difference.
        margin: Non-inferiority margin; ``None`` if no question sets one.
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
        high: Upper end of the interval.
    """

    prompts: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Trajectory:
    """How the interval of one metric narrows as prompts are added; descriptive only.

    Attributes:
        metric: Name of the metric.
        points: Up to 20 sizes in ascending order; the last holds every prompt that counts. Empty
            if no prompt counts.
        reported_is_wider: Whether the reported interval is wider than the last point's, because it
            allows for looks or for several candidates.
    """

    metric: str
    points: tuple[IntervalPoint, ...]
    reported_is_wider: bool = False


@dataclass(frozen=True)
class Row:
    """One prompt with both answers and their scores.

    Attributes:
        example: The prompt.
        baseline: Answer of the baseline.
        candidate: Answer of the candidate.
        baseline_scores: Metric → score of the baseline's answer, in [0, 1].
        candidate_scores: Metric → score of the candidate's answer, in [0, 1].
    """

    example: Example
    baseline: Answer
    candidate: Answer
    baseline_scores: Mapping[str, float]
    candidate_scores: Mapping[str, float]

    @property
    def failed(self) -> bool:
        """Whether neither side gave an answer, so the row does not count."""
        return self.baseline.error is not None and self.candidate.error is not None


@dataclass(frozen=True)
class SliceResult:
    """The paired difference of one metric on one slice.

    Attributes:
        key: Name of the tag, such as ``topic``.
        value: Value of the tag, such as ``billing``.
        n: Number of rows.
        difference: Mean of candidate minus baseline, in [-1, 1].
        low: Lower end of the two-sided interval; -1 if the slice is a single cluster. After an
            early stop, interval and p-value allow for every look at which it could have stopped.
        high: Upper end of the interval; 1 if the slice is a single cluster.
        p_value: Two-sided p-value of the hypothesis that the sides do not differ on this slice.
        p_adjusted: p-value adjusted over all tested slices (Benjamini-Hochberg): among the slices
            with a value of at most q, a share of at most q is expected to be false.
        wins: Number of rows in which the candidate scores higher.
        ties: Number of rows with equal scores.
        losses: Number of rows in which the candidate scores lower.
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
    """A slice with too few rows for a test.

    Attributes:
        key: Name of the tag.
        value: Value of the tag.
        n: Number of rows.
    """

    key: str
    value: str
    n: int


@dataclass(frozen=True)
class JudgeControls:
    """The controls of a judge: questions whose right answer is known.

    Attributes:
        metric: Name of the metric that the judge computes.
        failures: Why its verdicts may be worth nothing, one sentence each; empty if it passed.
    """

    metric: str
    failures: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """A finished comparison of two sides on one suite.

    Attributes:
        baseline: The side compared with.
        candidate: The side that should be better.
        suite_name: Name of the suite.
        suite_digest: SHA-256 of the suite's content.
        metrics: Results over the rows that count: those in which at least one side answered.
        rows: Rows of every prompt that was asked.
        method: Statistical method; see ``llmops.stats.sequential``.
        available: Number of prompts that could have been asked.
        nll: Mean negative log-likelihood per expected token, (baseline, candidate), in nats;
            ``None`` without expected answers, or if a side does not compute likelihoods.
        notes: Warnings for a reader, such as identical answers or failed prompts.
        seconds: Wall time of the measurement.
        run_id: MLflow parent run of the comparison.
        experiment_id: MLflow experiment of the runs.
        child_run_ids: MLflow runs of (baseline, candidate).
        trained: Rows of prompts that a side was trained on; not part of the metrics.
        slices: Results of the first metric by slice, then the slices too small for a test.
        traced: Whether each answer is also a trace in MLflow.
        trajectories: Trajectories of the metrics that a report may lead with: the first one, and
            that of the first question. Not part of the evidence.
        when: Time at which the measurement ended, UTC, ISO 8601; empty if unknown.
        further_slices: Metric → its results by slice, for the metrics after the first. Not part of
            the evidence.
        human_labels: What humans prefer, if they labelled a sample of the prompts. Not part of the
            evidence.
        settings: Name → value of everything that decides a result but sides, suite and confidence,
            such as ``max_tokens``; ``scorers`` is a list with name, specification and digest of each.
        frozen: What a gate recorded before the first answer; ``None`` without a gate.
        judges: The controls of each judge among the scorers.
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
    human_labels: HumanLabels | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    frozen: Frozen | None = None
    judges: tuple[JudgeControls, ...] = ()
    when: str = ""
    further_slices: Mapping[str, tuple[SliceResult | SmallSlice, ...]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Which model against which, such as ``bot/2 vs bot/1``."""
        return f"{self.candidate.name} vs {self.baseline.name}"

    def __repr__(self) -> str:
        """Return one line: the sides, and each metric's difference with its interval."""
        figures = (
            f"{m.metric} {m.test.difference:+.3f} [{m.test.low:+.3f}, {m.test.high:+.3f}]"
            for m in self.metrics
        )
        return f"<Comparison {self.title}, {len(self.rows)} prompts: {', '.join(figures)}>"

    def metric(self, name: str) -> MetricResult:
        """Return the result of one metric.

        Raises:
            KeyError: The comparison did not compute it.
        """
        for result in self.metrics:
            if result.metric == name:
                return result
        computed = ", ".join(result.metric for result in self.metrics)
        raise KeyError(f"{name}: not computed; computed: {computed}")

    def trajectory(self, metric: str) -> Trajectory:
        """Return the trajectory of one metric; it has no points if it was not computed."""
        matches = (each for each in self.trajectories if each.metric == metric)
        return next(matches, Trajectory(metric, ()))


@dataclass(frozen=True)
class Standing:
    """One side among several.

    Attributes:
        side: The side.
        score: Mean score of the first metric, in [0, 1].
        result: First metric against the baseline; ``None`` for the baseline itself.
        p_holm: p-value of ``result``, adjusted for the number of candidates (Holm); ``None`` for the
            baseline.
        strength: Bradley-Terry strength (log odds against the average side) and its standard
            error; ``None`` if there is no common scale.
    """

    side: Side
    score: float
    result: MetricResult | None
    p_holm: float | None
    strength: tuple[float, float] | None
