"""The histogram of a metric's differences over prompts, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from llmops.report import wording
from llmops.report.plots import scale
from llmops.report.template import render

WIDTH, HEIGHT = 784, 230
"""Pixels."""
LEFT, RIGHT = 20.0, 764.0
CEILING, FLOOR = 30.0, 172.0
SIDE_BINS = 10
"""Number of bars on each side of zero; ties have their own bar between them."""
MID = (LEFT + RIGHT) / 2
SLOT = (RIGHT - LEFT) / (2 * SIDE_BINS + 1)


def histogram_svg(differences: Sequence[float], *, baseline: str, candidate: str) -> str:
    """Draw the number of prompts by difference.

    Args:
        differences: Candidate minus baseline for every prompt, in [-1, 1].
        baseline: Label of the side that negative differences favour.
        candidate: Label of the other side.

    Returns:
        An SVG document without scripts or external resources, foreign text escaped.
    """
    reach = scale.round_up(max(map(abs, differences), default=0.0) or 1.0)
    counts = _counts(differences, reach / SIDE_BINS)
    most = max(1, *counts)
    return render(
        "plots/histogram.svg.j2",
        width=WIDTH,
        height=HEIGHT,
        floor=FLOOR,
        mid=MID,
        bars=[_bar(i, n, most, reach / SIDE_BINS) for i, n in enumerate(counts) if n],
        ticks=_ticks(reach),
        baseline=wording.clean(baseline, 16),
        candidate=wording.clean(candidate, 16),
    )


def _counts(differences: Sequence[float], step: float) -> list[int]:
    """Return the prompts in each bar, from largest loss to largest win; ties in the middle."""
    counts = [0] * (2 * SIDE_BINS + 1)
    for difference in differences:
        away = min(SIDE_BINS, int(abs(difference) / step - 1e-9) + 1) if difference else 0
        counts[SIDE_BINS + (away if difference > 0 else -away)] += 1
    return counts


def _bar(index: int, count: int, most: int, step: float) -> dict[str, object]:
    height = max(2.0, (FLOOR - CEILING) * count / most)
    away = index - SIDE_BINS
    ends = sorted((away * step, (away - (1 if away > 0 else -1)) * step))
    span = " to ".join(scale.tick_label(round(end, 6)) for end in ends)
    return {
        "x": round(LEFT + index * SLOT + 1.5, 1),
        "width": round(SLOT - 3, 1),
        "y": round(FLOOR - height, 1),
        "height": round(height, 1),
        "count": f"{count:,}",
        "tone": "open" if away == 0 else "good" if away > 0 else "bad",
        "title": f"{count:,} {'tied' if away == 0 else span}",
    }


def _ticks(reach: float) -> list[tuple[float, str]]:
    """Return (pixel, label) at the outer edge of the last and the middle bar of each half."""
    ticks = [(MID, "tie")]
    for share in (0.5, 1.0):
        away = SLOT * (0.5 + share * SIDE_BINS)
        for sign in (-1, 1):
            label = scale.tick_label(round(sign * share * reach, 6))
            ticks.append((round(MID + sign * away, 1), label))
    return ticks
