"""The figures that a gate decides on besides the paired tests of the whole suite."""

from __future__ import annotations

from dataclasses import dataclass

from llmops.records.comparison import JudgeControls, PairedTest


@dataclass(frozen=True)
class OwnMean:
    """The candidate's own mean score, which a floor is held against.

    Attributes:
        metric: Name of the metric.
        slice: Key and value of the slice; ``None`` for the whole suite.
        mean: Mean score, in [0, 1].
        low: Lower end of the two-sided interval of the mean.
        high: Upper end of the interval.
        n: Number of prompts.
        clusters: Number of independent clusters.
        confidence: Confidence of the interval, such as 0.95.
    """

    metric: str
    slice: tuple[str, str] | None
    mean: float
    low: float
    high: float
    n: int
    clusters: int
    confidence: float


@dataclass(frozen=True)
class SliceTest:
    """The paired test of one metric on a protected slice.

    Attributes:
        metric: Name of the metric.
        slice: Key and value of the slice.
        test: Paired test of its rows.
        best: Lower end of the interval if every row of the slice were tied: what a candidate that is
            as good as the baseline can show at best.
    """

    metric: str
    slice: tuple[str, str]
    test: PairedTest
    best: float


@dataclass(frozen=True)
class Spent:
    """What the candidate's answers cost, on average; ``None`` where nothing was measured.

    Attributes:
        mean_tokens: Tokens of an answer.
        mean_seconds: Seconds of an answer, over the answers that were timed one by one.
        usd_per_1000_answers: Price of 1,000 answers in US dollars, at the policy's price of an hour.
    """

    mean_tokens: float | None = None
    mean_seconds: float | None = None
    usd_per_1000_answers: float | None = None


@dataclass(frozen=True)
class Figures:
    """Everything but the paired tests that a decision depends on; part of the evidence.

    Attributes:
        means: The candidate's own mean for each floor.
        slices: The paired test for each requirement on a slice; without those that no row has.
        spent: What the candidate's answers cost.
        judges: The controls of each judge.
        whole: Whether every prompt was asked; floors and slices are decided on no fewer.
        first: Whether there was no champion, so that the baseline is the bare base.
    """

    means: tuple[OwnMean, ...] = ()
    slices: tuple[SliceTest, ...] = ()
    spent: Spent = Spent()
    judges: tuple[JudgeControls, ...] = ()
    whole: bool = True
    first: bool = False
