"""Results in answers."""

from __future__ import annotations

import pytest
from scorer_records import scored

from llmops.compare.scorers.load import load_scorers
from llmops.errors import UsageError


def test_extract_compares_the_last_find() -> None:
    assert scored(
        "extract:#### *(-?[0-9,]+)",
        ("3 + 4 = 7\n#### 7", "3 and 4\n#### 7"),
        ("#### 6, no: #### 7", "#### 7"),
        ("#### 7", "7"),  # the expected answer may be the bare result
        ("#### 7, no: #### 6", "#### 7"),
        ("7", "#### 7"),  # not found in the answer
        ("", "#### 7"),
        ("#### 1,000", "#### 1000"),  # written differently: say so in the pattern
    ) == (1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    for pattern in ("7", "(a)(b)", "(?:a)"):
        with pytest.raises(UsageError, match="expected one group"):
            load_scorers([f"extract:{pattern}"])


def test_extract_never_matches_nothing_with_nothing() -> None:
    assert scored("extract:answer: *([a-z]*)", ("answer: ", "answer: "), ("x", "")) == (0.0, 0.0)
