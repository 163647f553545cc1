"""What two texts must have in common to be the same text."""

from __future__ import annotations

import time

import pytest

from llmops.texts.normalize import words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is a pin?", "  what IS\n\ta  pin "),
        ("Don\u2019t panic \u2013 it's fine", "don't panic, its fine!"),
        ("**bold** text_of a [link]", "bold text of a link"),
        ("\uff26\uff35\uff2c\uff2c \ufb01ne Stra\u00dfe", "full fine STRASSE"),  # NFKC, casefold
        ("caf\u00e9", "cafe\u0301"),
        ("x = 5", "x  =5"),
        ("\u6771\u4eac \u306f", "\u6771\u4eac\u306f"),  # spaces say nothing between kanji
    ],
)
def test_layout_case_and_punctuation_say_nothing(one: str, other: str) -> None:
    assert words(one) == words(other) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("What is 3 * 4?", "What is 3 \u00d7 4?"),
        ("\U0001f600 \U0001f600", "\U0001f602 \U0001f602"),  # no words at all, and not the same
        ("???", "!!!"),
        ("\u0939\u093f\u0928", "\u0939\u0940\u0928"),  # Hindi vowels are combining marks
        ("\u6771\u4eac", "\u4eac\u6771"),
    ],
)
def test_texts_that_differ_by_more_stay_different(one: str, other: str) -> None:
    assert words(one) != words(other)


def test_combining_marks_do_not_end_a_word() -> None:
    assert len(words("\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e")) == 2


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b"])
def test_an_empty_text_has_no_words(text: str) -> None:
    assert words(text) in ([], [text.strip()])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "a " * 500_000,
        "-" + " " * 1_000_000,
        "- " * 500_000,
        "'" * 1_000_000,
        "_" * 1_000_000,
        "a" + "\u0315\u0300" * 500_000,  # NFKC alone would sort these for half an hour
        "\ufdfa" * 100_000,  # NFKC makes 18 characters of each
        "\u6771" * 300_000,
        "\x00\ud7ff" * 300_000,
    ],
    ids=lambda text: ascii(text[:4]),
)
def test_a_hostile_megabyte_takes_seconds_at_most(text: str) -> None:
    begun = time.process_time()
    words(text)
    assert time.process_time() - begun < 5
