"""The form of a docstring's first line."""

from __future__ import annotations

import pytest

from llmops.compare.scorers.one_line import score as one_line


@pytest.mark.parametrize(
    "answer",
    [
        "Return the name.",
        "  Return the name!\n\n",
        "Why?",
        'Return "the name."',
        "Return the name (or None.)",
        "Return \u201cthe name.\u201d",
        "x" * 119 + ".",
    ],
)
def test_one_line(answer: str) -> None:
    assert one_line(answer) == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n ",
        "Return the name",
        "Return the name.\nIt is a str.",
        "Return the name.\r\rIt is a str.",
        'Return the name...)"',  # one closing mark, not a row of them
        "```Return the name.",
        "Return `x`",
        "x" * 120 + ".",
        "Return the name:",
        "Return the name. ;",
    ],
)
def test_not_one_line(answer: str) -> None:
    assert one_line(answer) == 0.0
