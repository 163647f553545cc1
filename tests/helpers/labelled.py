"""Comparisons for humans to label, and humans who label them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from report_records import comparison, metric, row

from llmops.records import Comparison

WORDS = [f"word{i}" for i in range(10)]
EXPECTED = " ".join(WORDS)


def answer(good: int) -> str:
    """An answer with this many of the ten expected words."""
    return " ".join([*WORDS[:good], *["no"] * (10 - good)])


def goodness(text: str) -> int:
    return sum(word in WORDS for word in text.split())


def compared(prompts: int = 120, *, cluster: int = 1, **changes: object) -> Comparison:
    """A comparison of two sides on every prompt; the score is the share of good words."""
    rng = np.random.default_rng(4)
    rows = [
        row(
            i,
            answer(old),
            answer(new),
            (old / 10, new / 10),
            ["token_f1"],
            cluster=f"c{i // cluster}",
            expected=EXPECTED,
        )
        for i, (old, new) in enumerate(rng.integers(0, 11, (prompts, 2)).tolist())
    ]
    made = {"available": prompts, "method": "fixed", **changes}
    return comparison([metric("token_f1", -0.1, 0.0, 0.1)], rows, **made)


def human(noise: float = 0.0) -> Callable[[str, str], str]:
    """Someone who prefers the answer with more good words, and errs at times."""
    rng = np.random.default_rng(5)

    def prefers(one: str, two: str) -> str:
        gap = goodness(one) - goodness(two) + noise * rng.normal()
        return "tie" if abs(gap) < 1 else "one" if gap > 0 else "two"

    return prefers


def fill(path: Path, prefers: Callable[[str, str], str]) -> None:
    """Fill in a CSV file as a person with a spreadsheet does."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        records = list(csv.DictReader(stream))
    for record in records:
        record["preference"] = prefers(record["answer_one"], record["answer_two"])
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(records[0]))
        table.writeheader()
        table.writerows(records)
