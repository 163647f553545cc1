"""Equality up to spelling."""

from __future__ import annotations

import pytest

from llmops.compare.scorers.exact import score as exact


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("Paris", "Paris", 1.0),
        ("  paris.\n", "Paris", 1.0),
        ("New\n York", "new york", 1.0),
        ("STRASSE", "straße", 1.0),  # case folding, not lower-casing
        ("\uff11\uff18", "18", 1.0),  # full-width digits
        ("-5", "5", 0.0),  # signs and points are content
        ("3.5", "35", 0.0),
        ("the cat", "cat", 0.0),
        ("18..", "18", 0.0),  # one full stop, no more
        ("", "", 1.0),
        ("", "x", 0.0),
    ],
)
def test_exact(prediction: str, reference: str, score: float) -> None:
    assert exact(prediction, reference) == score
    assert exact(reference, prediction) == score
