"""Overlap of words."""

from __future__ import annotations

import pytest

from llmops.compare.scorers.token_f1 import score as token_f1


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("Return the name.", "return THE name", 1.0),
        ("Return a name", "Return the name", 2 / 3),  # 2 shared of 3 and 3; articles count
        ("name", "Return the name", 2 * 1 * (1 / 3) / (1 + 1 / 3)),
        ("the the the", "the cat", 2 / 5),  # a word counts as often as both have it
        ("nothing shared", "Return it", 0.0),
        ("", "", 1.0),
        ("...", "", 1.0),  # no words on either side
        ("", "Return", 0.0),
        ("Return", "  \n", 0.0),
        ("snake_case", "snake case", 1.0),
        ("Größe 3", "größe 3", 1.0),  # words of other scripts are words
        ("名前", "名前", 1.0),
        ("x2", "x 2", 0.0),
    ],
)
def test_token_f1(prediction: str, reference: str, score: float) -> None:
    assert token_f1(prediction, reference) == pytest.approx(score)
    assert token_f1(reference, prediction) == pytest.approx(score)
