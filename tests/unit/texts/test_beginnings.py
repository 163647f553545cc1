"""A template's common beginning is cut, and nothing else is."""

from __future__ import annotations

import time

import pytest

from llmops.texts.beginnings import ELLIPSIS, distinct

TEMPLATE = "Name the intent of this bank customer's message:\n"


def test_only_what_differs_is_left() -> None:
    prompts = [f"{TEMPLATE}{rest}" for rest in ("my card is lost", "top up failed", "my pin?")]
    assert distinct(prompts) == [
        f"{ELLIPSIS}my card is lost",
        f"{ELLIPSIS}top up failed",
        f"{ELLIPSIS}my pin?",
    ]


def test_one_row_without_the_template_keeps_the_others_short() -> None:
    prompts = [*(f"{TEMPLATE}case {i}" for i in range(9)), "Hello there."]
    assert distinct(prompts)[-1] == "Hello there."
    assert set(distinct(prompts)[:9]) == {f"{ELLIPSIS}{i}" for i in range(9)}


def test_two_templates_are_both_cut() -> None:
    other = "Translate this sentence into French, please: "
    prompts = [f"{start}{i} words" for i in range(4) for start in (TEMPLATE, other)]
    assert set(distinct(prompts)) == {f"{ELLIPSIS}{i} words" for i in range(4)}


@pytest.mark.parametrize(
    "prompts",
    [
        [],
        ["One prompt alone, whatever its length may be in the end."],
        ["Split 1.", "Split 2.", "Split 3."],  # a short beginning costs no room
        [TEMPLATE + "same"] * 5,  # repeats of one prompt share everything
        ["", " ", "\n"],
    ],
)
def test_prompts_that_stay_whole(prompts: list[str]) -> None:
    assert distinct(prompts) == prompts


def test_a_prompt_that_is_only_the_beginning_keeps_its_last_word() -> None:
    prompts = [TEMPLATE, *(f"{TEMPLATE}case {i}" for i in range(5))]
    assert distinct(prompts)[0] == f"{ELLIPSIS}message:\n"


def test_no_word_is_cut_in_two() -> None:
    prompts = [f"{TEMPLATE}reference-{i}" for i in range(5)]
    assert distinct(prompts)[0] == f"{ELLIPSIS}reference-0"


def test_ten_thousand_prompts_take_little_time() -> None:
    prompts = [f"{TEMPLATE * 20}case {i}" for i in range(10_000)]
    begun = time.perf_counter()
    assert distinct(prompts)[0] == f"{ELLIPSIS}0"
    assert time.perf_counter() - begun < 10
