"""Statistics of each side's answers: length, time, and how many were cut off or failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llmops.records import Answer, Comparison

NONE = "-"
ALARM = 0.05
"""Share of answers that were cut or failed from which the figure stands out."""


class Cell(NamedTuple):
    """A figure, and whether it needs the reader's attention."""

    text: str
    alarming: bool = False


def answer_table(comparison: Comparison) -> list[tuple[str, Cell, Cell]]:
    """Return rows of (name, baseline, candidate); empty if no prompt was answered.

    Seconds are included only if some answer was timed on its own.
    """
    old = _figures([row.baseline for row in comparison.rows])
    new = _figures([row.candidate for row in comparison.rows])
    none = Cell(NONE)
    return [(name, old.get(name, none), new.get(name, none)) for name in {**old, **new}]


def _figures(answers: Sequence[Answer]) -> dict[str, Cell]:
    """Return name → figure of one side; failed answers count only as failed."""
    given = [answer for answer in answers if answer.error is None]
    cut = sum(answer.finish_reason == "length" for answer in given)
    shares = {
        "Stopped by the length limit": _share(cut, len(given)),
        "Failed": _share(len(answers) - len(given), len(answers)),
    }
    return {
        **_spread("Tokens per answer", [answer.tokens for answer in given], ",.1f"),
        **{name: share for name, share in shares.items() if share.text},
        **_spread(
            "Seconds per answer", [a.seconds for a in given if a.seconds is not None], ",.2f"
        ),
    }


def _spread(name: str, values: Sequence[float], digits: str) -> dict[str, Cell]:
    if not values:
        return {}
    figures = {
        "mean": np.mean(values),
        "median": np.median(values),
        "95th percentile": np.percentile(values, 95),
    }
    return {f"{name}, {what}": Cell(format(float(x), digits)) for what, x in figures.items()}


def _share(count: int, total: int) -> Cell:
    if not total:
        return Cell("")
    text = f"{count:,} of {total:,} ({100 * count / total:.1f}%)"
    return Cell(text, alarming=count >= ALARM * total and count > 0)
