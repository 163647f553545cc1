from __future__ import annotations

import pytest

from llmops.engine.openai.turns import LABELS, Part, Turn, broken


def test_what_utf_8_cannot_carry() -> None:
    assert broken("\U0001f600 é") is None
    assert broken("ab\udfff") == "holds half of a character ('\\udfff' at 2)"


def test_no_label_is_a_key_that_counts() -> None:
    assert not LABELS & set(Turn.model_fields)
    assert LABELS & set(Part.model_fields) == {"type"}


@pytest.mark.parametrize("arguments", ['{"a": "\\ud800"}', "[1]", "{", "[" * 100_000])
def test_arguments_that_no_template_can_write_are_refused(arguments: str) -> None:
    call = {"function": {"name": "f", "arguments": arguments}}
    with pytest.raises(ValueError, match="arguments"):
        Turn.model_validate({"role": "assistant", "tool_calls": [call]})
