"""The examples of a report: their order, their words in colour, their length."""

from __future__ import annotations

from report_records import comparison, row

from llmops.report.html import examples
from llmops.report.wording import MINUS


def test_losses_come_first_and_the_largest_of_them_on_top():
    shown = (
        row(1, "a", "b", (0.5, 0.5)),
        row(2, "a", "b", (0.5, 0.4)),
        row(3, "a", "b", (0.9, 0.1)),
        row(4, "a", "b", (0.1, 0.9)),
    )
    losses, wins, ties = examples.shelves(comparison(shown=shown), "token_f1")
    assert [card["id"] for card in losses.cards] == ["q3", "q2"]
    assert [card["difference"] for card in losses.cards] == [f"{MINUS}0.800", f"{MINUS}0.100"]
    assert [card["id"] for card in wins.cards] == ["q4"]
    assert [card["id"] for card in ties.cards] == ["q1"]


def test_float_noise_is_a_tie_as_in_the_paired_test():
    shown = (row(1, "a", "b", (0.1 + 0.2, 0.3)),)
    assert examples.shelves(comparison(shown=shown), "token_f1")[2].total == 1


def test_spacing_is_no_difference():
    old, new = examples.word_diff(examples.shorten("a  b\nc"), examples.shorten("a b c"))
    assert not any(marked for _, marked in old.chunks + new.chunks)
    assert (old.text, new.text) == ("a  b\nc", "a b c")


def test_long_texts_are_cut_and_say_so():
    text = examples.shorten("x" * 1_000_000)
    assert len(text.text) == examples.TEXT_LIMIT
    assert text.cut == "cut here: 1,000,000 characters in total"


def test_a_text_that_grows_when_spelled_out_says_that_it_is_cut():
    assert examples.shorten("\u202e" * 200).cut == "cut here: 200 characters in total"


def test_a_heading_says_if_only_some_are_shown():
    few = examples.Shelf("losses", 1, ({},))
    many = examples.Shelf("ties", 40, ({},) * 10)
    assert examples.shelf_title(few, "v3") == "1 prompt that v3 loses"
    assert examples.shelf_title(many, "v3") == "40 prompts that v3 ties (first 10 shown)"


def test_differences_are_those_of_every_prompt_in_their_order():
    shown = (row(1, "a", "b", (0.9, 0.1)), row(2, "a", "b", (0.2, 0.3)))
    assert examples.differences(comparison(shown=shown), "token_f1") == [-0.8, 0.1]


def test_an_example_is_named_by_what_differs_between_prompts() -> None:
    start = "Name the intent of this bank customer's message: "
    shown = tuple(
        row(i, "a", "b", (0.5, 0.4), messages=({"role": "user", "content": f"{start}card {i}"},))
        for i in range(4)
    )
    losses, _, _ = examples.shelves(comparison(shown=shown), "token_f1")
    assert [card["title"] for card in losses.cards] == [f"… {i}" for i in range(4)]


def test_other_metrics_have_fewer_examples() -> None:
    shown = tuple(row(i, "a", "b", (0.5, 0.4)) for i in range(9))
    losses, _, _ = examples.shelves(comparison(shown=shown), "rouge_l", examples.FEW)
    assert len(losses.cards) == examples.FEW["losses"]
