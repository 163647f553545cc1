from __future__ import annotations

import pytest

from llmops.compare.answers.cut import notes
from llmops.records import Answer

FULL = Answer("Anna", 2, 5, "stop")
CUT = Answer("Anna reads the", 8, 5, "length")
EMPTY = Answer(" \n", 1, 5, "stop")
THOUGHT = Answer("", 8, 5, "length")
FAILED = Answer("", 0, 0, "error", error="refused")


def of(baseline: list[Answer], candidate: list[Answer]) -> list[str]:
    return notes(["v1", "v2"], [baseline, candidate])


def test_full_answers_give_no_note() -> None:
    assert of([FULL] * 20, [FULL] * 20) == []
    assert of([], []) == []


def test_an_answer_that_failed_is_not_called_empty() -> None:
    assert of([FULL] * 20, [FAILED] * 20) == []


def test_a_model_that_spent_its_tokens_before_the_answer() -> None:
    (note,) = of([FULL] * 12, [THOUGHT] * 12)
    assert note.startswith("empty answers: v1 0 of 12 (0%), v2 12 of 12 (100%); the token limit")
    assert "raise max_tokens (--max-tokens)" in note


def test_empty_answers_that_ended_by_themselves_are_not_blamed_on_the_limit() -> None:
    assert of([EMPTY] * 12, [FULL] * 12) == ["empty answers: v1 12 of 12 (100%), v2 0 of 12 (0%)"]


def test_cut_answers_are_noted_with_the_share_of_each_side() -> None:
    (note,) = of([FULL] * 19 + [CUT], [CUT] * 5 + [FULL] * 15)
    assert note.startswith("answers cut at max_tokens: v1 1 of 20 (5%), v2 5 of 20 (25%); what is")


def test_empty_and_cut_answers_are_two_notes() -> None:
    both = of([CUT] * 10, [THOUGHT] * 10)
    assert [note.partition(":")[0] for note in both] == [
        "empty answers",
        "answers cut at max_tokens",
    ]
    assert "v1 10 of 10 (100%), v2 0 of 10 (0%)" in both[1]


@pytest.mark.parametrize("odd", [CUT, EMPTY, THOUGHT])
def test_a_twentieth_is_the_least_share_that_is_noted(odd: Answer) -> None:
    assert of([FULL] * 21, [FULL] * 20 + [odd]) == []
    assert len(of([FULL] * 20, [FULL] * 19 + [odd])) == 1
    swapped = notes(["v2", "v1"], [[FULL] * 19 + [odd], [FULL] * 20])
    assert len(swapped) == 1, "whichever side it is"
