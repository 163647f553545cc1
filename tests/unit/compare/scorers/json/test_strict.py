"""JSON without Python's additions."""

from __future__ import annotations

import pytest

from llmops.compare.scorers.json.strict import NOT_JSON, parse


def test_values() -> None:
    assert parse(' {"a": [1, 2.5, true, null, "ü"]}\n') == {"a": [1, 2.5, True, None, "ü"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "{'a': 1}",
        "1 2",
        "```json\n1\n```",
        "[" * 100_000,
    ],
)
def test_what_is_not_json(text: str) -> None:
    with pytest.raises(NOT_JSON):
        parse(text)


def test_a_constant_is_named() -> None:
    with pytest.raises(ValueError, match="-Infinity is not JSON"):
        parse("[-Infinity]")
