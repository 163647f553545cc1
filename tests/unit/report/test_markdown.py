"""Markdown for MLflow's pages."""

from __future__ import annotations

import pytest

from llmops.report import markdown


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a*b", r"a\*b"),
        ("[x](y)", r"\[x\](y)"),
        ("a | b", r"a \| b"),
        ("snake_case", "snake_case"),
        ("__main__", r"\_\_main\_\_"),
        ("<b>", r"\<b\>"),
    ],
)
def test_text_stays_text(text, escaped):
    assert markdown.escape(text) == escaped


def test_an_address_ends_neither_its_parentheses_nor_its_cell():
    assert markdown.address("#/runs/1?a=b|c)d e") == "#/runs/1?a=b%7Cc%29d%20e"
    assert markdown.address("#/runs?filter=a%20b") == "#/runs?filter=a%20b", "not encoded twice"


def test_code_cannot_end_its_span():
    assert markdown.code("a`b") == "a'b"


def test_all_cells_but_the_last_have_room():
    assert markdown.row(["a", "b"]) == "| a&emsp; | b |"
