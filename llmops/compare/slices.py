"""Results by slice: which parts of the suite a difference comes from. They do not decide a verdict.

A slice is all rows with the same value of a tag (``slice.topic`` = billing). Many slices are tested,
so some will differ by chance: their p-values are adjusted together (Benjamini & Hochberg 1995).

A comparison that stopped early did so because the sides differed so far, and the slices took part in
that. Their intervals and p-values then pay for every look that could have been the last (Bonferroni):
whichever look it was, an interval misses on either side with at most the level of one side.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from llmops.records import Row, SliceResult, SmallSlice
from llmops.stats.multiple import benjamini_hochberg
from llmops.stats.terminal import interval, p_above
from llmops.stats.units import DIGITS, units_of

FEWEST = 10
"""Minimum rows for a test: with 10, all 6 non-tied pairs must be wins to reach p < 0.05."""


class Slices(NamedTuple):
    """All slices of a suite.

    Attributes:
        tested: Slices with a test, sorted by key and value.
        too_small: Slices of fewer than ``FEWEST`` rows, sorted likewise.
    """

    tested: tuple[SliceResult, ...]
    too_small: tuple[SmallSlice, ...]


def slice_results(
    rows: Sequence[Row], metric: str, *, confidence: float = 0.95, looks: int = 1
) -> Slices:
    """Test the difference of a metric on every slice.

    Args:
        rows: Rows of the prompts that were asked; may be empty.
        metric: Name of a score of the rows.
        confidence: Confidence of each interval, which is not adjusted for the number of slices.
        looks: Number of looks at which the comparison could have stopped; 1 if every prompt was
            asked.

    Raises:
        KeyError: A row has no score of this metric.
        ValueError: The confidence is outside (0, 1), there is no look, or a difference is NaN or
            outside [-1, 1].
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, received {confidence}")
    if looks < 1:
        raise ValueError(f"looks: expected at least 1, received {looks}")
    groups = _by_slice(rows)
    small = [SmallSlice(*name, len(own)) for name, own in groups.items() if len(own) < FEWEST]
    each = 1 - (1 - confidence) / looks
    tested = [
        _result(*name, own, metric, each) for name, own in groups.items() if len(own) >= FEWEST
    ]
    tested = [replace(result, p_value=min(1.0, looks * result.p_value)) for result in tested]
    adjusted = benjamini_hochberg([result.p_value for result in tested])
    return Slices(
        tuple(replace(r, p_adjusted=float(p)) for r, p in zip(tested, adjusted, strict=True)),
        tuple(small),
    )


def looks_to_pay(asked: int, available: int, block: int) -> int:
    """Return the number of looks that slices must allow for; 1 if every prompt was asked.

    Args:
        asked: Number of prompts that were asked.
        available: Number of prompts that could be asked.
        block: Number of prompts between two looks.
    """
    return 1 if asked == available else math.ceil(available / block)


def _by_slice(rows: Sequence[Row]) -> Mapping[tuple[str, str], list[Row]]:
    """Return the rows of each (key, value), sorted by it."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        for name in row.example.slices.items():
            groups[name].append(row)
    return {name: groups[name] for name in sorted(groups)}


def _result(
    key: str, value: str, rows: Sequence[Row], metric: str, confidence: float
) -> SliceResult:
    """Test one slice; its p-value is not yet adjusted."""
    gains = [
        round(row.candidate_scores[metric] - row.baseline_scores[metric], DIGITS) for row in rows
    ]
    scores = [row.candidate_scores[metric] for row in rows]
    clusters = [row.example.cluster for row in rows]
    units = units_of(gains, clusters, scores)
    low, high = interval(units, (1 - confidence) / 2)
    p_value = min(1.0, 2 * min(p_above(units, 0.0), p_above(units.mirrored, 0.0)))
    return SliceResult(
        key=key,
        value=value,
        n=len(rows),
        difference=units.mean,
        low=low,
        high=high,
        p_value=p_value,
        p_adjusted=p_value,
        wins=sum(gain > 0 for gain in gains),
        ties=sum(gain == 0 for gain in gains),
        losses=sum(gain < 0 for gain in gains),
    )
