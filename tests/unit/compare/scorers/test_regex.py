"""Patterns in answers."""

from __future__ import annotations

import pytest
from scorer_records import scored

from llmops.compare.scorers.load import load_scorers
from llmops.errors import UsageError


def test_regex_searches() -> None:
    assert scored("regex:[0-9]{4}", ("in 1999.", None), ("in 99", None)) == (1.0, 0.0)
    assert scored("regex:^yes$", ("yes", None), ("yes!", None), ("", None)) == (1.0, 0.0, 0.0)
    with pytest.raises(UsageError, match="not a regular expression: unterminated"):
        load_scorers(["regex:["])
