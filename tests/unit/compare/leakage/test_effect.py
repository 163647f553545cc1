"""Scores with and without what was trained on, and the note on it."""

from __future__ import annotations

import pytest

from llmops.compare.leakage.detect import Leak
from llmops.compare.leakage.effect import leakage_note, with_and_without
from llmops.records import Answer, Example, Row


def row(number: int, baseline: float, candidate: float) -> Row:
    said = Answer("yes", 1, 1, "stop")
    return Row(
        Example(f"q{number}", (), None, f"q{number}"),
        said,
        said,
        {"exact": baseline},
        {"exact": candidate},
    )


def test_both_scores_are_the_means_of_their_rows() -> None:
    rows = [row(0, 0.0, 1.0), row(1, 1.0, 0.0), row(2, 0.5, 0.25)]
    (both,) = with_and_without(rows, {"q0", "unknown"})
    assert (both.metric, both.n, both.kept) == ("exact", 3, 2)
    assert both.all == (0.5, pytest.approx(1.25 / 3))
    assert both.clean == (0.75, 0.125)
    (none,) = with_and_without(rows, {"q0", "q1", "q2"})
    assert (none.kept, none.clean) == (0, None)
    (same,) = with_and_without(rows, ())
    assert same.all == same.clean


def test_the_note_says_what_was_found_and_whether_anybody_looked() -> None:
    uri = "models:/bot/1"
    assert leakage_note(uri, None, 9).startswith(
        "leakage not checked: the training data of models:/bot/1 "
    )
    assert leakage_note(uri, {}, 9) == "none of 9 prompts is in the training data of models:/bot/1"
    leaks = {"a": Leak("overlap", 0.8), "b": Leak("duplicate", 1.0), "c": Leak("overlap", 0.9)}
    note = leakage_note(uri, leaks, 9)
    assert note.startswith("3 of 9 prompts are in the training data of models:/bot/1")
    assert "(1 duplicate, 2 overlap), such as 'a', 'b', 'c'" in note
