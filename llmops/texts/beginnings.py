"""Prompts without the beginning that they share: with a template, only the rest tells rows apart."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

ELLIPSIS = "… "
FEWEST = 24
"""Characters below which a shared beginning stays: it costs little room."""
SHARE, ROWS = 0.2, 3
"""Share and number of prompts that must have a beginning before it is cut: suites mix templates."""
LONGEST = 4_000
"""Characters of a prompt in which a shared beginning is sought."""

_LAST = chr(0x10FFFF)
_WORD = re.compile(r"\S\s+")


def distinct(prompts: Sequence[str]) -> list[str]:
    """Return each prompt without the beginning that many prompts share, cut between two words.

    Args:
        prompts: Prompts of a suite. A prompt that occurs several times counts once.

    Returns:
        The prompts in their order; an ellipsis stands for what was cut.

    Example:
        from llmops.texts.beginnings import distinct

        print(distinct(["Name the intent of this message: hi", "Name the intent of this message: bye"]))
    """
    ordered = sorted({prompt[:LONGEST] for prompt in prompts})
    fewest = max(min(ROWS, len(ordered)), round(SHARE * len(ordered)), 2)
    return [_without_beginning(prompt, ordered, fewest) for prompt in prompts]


def _without_beginning(prompt: str, ordered: Sequence[str], fewest: int) -> str:
    """Return a prompt without its longest beginning that enough of the sorted prompts have."""
    ends = [match.end() for match in _WORD.finditer(prompt[:LONGEST]) if match.end() < len(prompt)]
    shared = bisect_left(ends, True, key=lambda end: _count(ordered, prompt[:end]) < fewest)
    cut = ends[shared - 1] if shared else 0
    return ELLIPSIS + prompt[cut:] if cut >= FEWEST else prompt


def _count(ordered: Sequence[str], beginning: str) -> int:
    """Return the number of sorted texts that begin with another text."""
    return bisect_right(ordered, beginning + _LAST) - bisect_left(ordered, beginning)
