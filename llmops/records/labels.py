"""What humans prefer, from a random sample of labels and a scorer on every prompt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HumanLabels:
    """Preference of humans over all prompts, by prediction-powered inference (PPI++).

    A label is 1 if a human prefers the candidate's answer, -1 for the baseline's, and 0 for a tie;
    a mean label is therefore the share of prompts won minus the share lost, in [-1, 1].

    Attributes:
        metric: Name of the scorer that is combined with the labels.
        difference: Estimated mean label over all prompts.
        low: Lower end of its two-sided interval.
        high: Upper end of the interval.
        alone: Mean of the human labels.
        alone_low: Lower end of the interval from the human labels alone.
        alone_high: Upper end of that interval.
        labels: Number of labelled prompts.
        prompts: Number of prompts that the scorer judged, labelled ones included.
        effective: Number of human labels that alone would give the same precision.
        correlation: Correlation of labels and scores on the labelled prompts; NaN if either never
            varies.
        confidence: Confidence of the intervals, such as 0.95.
        wins: Number of labels that prefer the candidate.
        ties: Number of ties.
        losses: Number of labels that prefer the baseline.
    """

    metric: str
    difference: float
    low: float
    high: float
    alone: float
    alone_low: float
    alone_high: float
    labels: int
    prompts: int
    effective: float
    correlation: float
    confidence: float
    wins: int
    ties: int
    losses: int
