"""Statistics of each side's answers: length, time, and how many were cut off or failed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmops.records import Answer, Comparison

NONE = "-"


def answer_table(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return rows of (name, baseline, candidate); empty if no prompt was answered.

    Seconds are included only if some answer was timed on its own.
    """
    old = _figures([row.baseline for row in comparison.rows])
    new = _figures([row.candidate for row in comparison.rows])
    return [(name, old.get(name, NONE), new.get(name, NONE)) for name in {**old, **new}]


def _figures(answers: Sequence[Answer]) -> dict[str, str]:
    """Return name → figure of one side; failed answers count only as failed."""
    given = [answer for answer in answers if answer.error is None]
    cut = sum(answer.finish_reason == "length" for answer in given)
    shares = {
        "Stopped by the length limit": _share(cut, len(given)),
        "Failed": _share(len(answers) - len(given), len(answers)),
    }
    return {
        **_spread("Tokens per answer", [answer.tokens for answer in given], ",.1f"),
        **{name: share for name, share in shares.items() if share},
        **_spread(
            "Seconds per answer", [a.seconds for a in given if a.seconds is not None], ",.2f"
        ),
    }


def _spread(name: str, values: Sequence[float], digits: str) -> dict[str, str]:
    if not values:
        return {}
    return {
        f"{name}, mean": format(float(np.mean(values)), digits),
        f"{name}, median": format(float(np.median(values)), digits),
        f"{name}, 95th percentile": format(float(np.percentile(values, 95)), digits),
    }


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({100 * count / total:.1f}%)" if total else ""
