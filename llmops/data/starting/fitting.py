"""Settings that fit a file: the metric, the length of answers, the share held out, the steps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmops.data.groups import asked
from llmops.data.labels import labels

Row = dict[str, Any]
CHARACTERS_A_TOKEN = 3.0
"""Characters of a token, a low estimate for English; other languages have fewer."""
TEST_ROWS = 150
"""Test examples that a starting recipe wants: they show a difference of a tenth."""
SHARE, MOST = 0.2, 0.5
"""Usual and largest share of the examples that is held out."""
TOKENS = 40_000
"""Training tokens of a first run on a CPU: 5 minutes at 150 tokens per second."""
BATCH = 8
LENGTHS = (8, 16, 32, 64)
"""Answer lengths to choose from, in tokens: longer ones make a first comparison on a CPU slow."""
NEARLY_ALL = 0.98
"""Share of the answers that need not be cut."""
LONGEST = 1024
"""Tokens above which examples are left out of a first training."""


@dataclass(frozen=True)
class Fit:
    """What fits a file.

    Attributes:
        metric: Name of the scorer that judges an answer: ``exact``, ``json_fields`` or ``token_f1``.
        why: Why that one.
        max_tokens: Most tokens of an answer.
        max_length: Most tokens of an example.
        long: Number of examples that may be longer than that.
        test_fraction: Share held out.
        steps: Steps of a first run on a CPU; ``None`` if an epoch is no longer.
    """

    metric: str
    why: str
    max_tokens: int
    max_length: int
    long: int
    test_fraction: float
    steps: int | None


def fitting(rows: Sequence[Row]) -> Fit:
    """Return the settings that fit examples.

    Args:
        rows: Examples as ``read_table`` returns them.
    """
    metric, why = metric_of(rows)
    answers = [_tokens(row["completion"]) for row in rows]
    whole = [_tokens(asked(row)) + answer + 40 for row, answer in zip(rows, answers, strict=True)]
    longest = min(LONGEST, max(512, 2 ** math.ceil(math.log2(max(whole)))))
    an_epoch = math.ceil((1 - SHARE) * len(rows) / BATCH)
    steps = max(10, round(TOKENS / (BATCH * sum(whole) / len(whole))))
    return Fit(
        metric=metric,
        why=why,
        max_tokens=next((n for n in LENGTHS if n >= _most(answers)), LENGTHS[-1]),
        max_length=longest,
        long=sum(length > longest for length in whole),
        test_fraction=round(min(MOST, max(SHARE, TEST_ROWS / len(rows))), 2),
        steps=steps if steps < an_epoch else None,
    )


def metric_of(rows: Sequence[Row]) -> tuple[str, str]:
    """Return the scorer that fits the answers, and why."""
    known = labels(rows)
    if known is not None:
        return "exact", f"{len(known):,} labels"
    answers = [str(row["completion"]) for row in rows]
    if all(map(_is_number, answers)):
        return "exact", "the answers are numbers"
    if all(map(_is_object, answers)):
        return "json_fields", "the answers are JSON objects"
    return "token_f1", "the answers are free text"


def _most(counts: Sequence[int]) -> int:
    return sorted(counts)[min(len(counts) - 1, math.ceil(NEARLY_ALL * len(counts)))]


def _tokens(text: str) -> int:
    return math.ceil(len(text) / CHARACTERS_A_TOKEN) + 1


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
