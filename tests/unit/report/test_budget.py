from __future__ import annotations

from dataclasses import replace

import pytest

from llmops.records import Budget
from llmops.report.budget import level, spent

BUDGET = Budget("pr-12", 3, 0.05, 0.003377, 0.0019)


def test_a_push_says_what_it_spent_and_what_is_left() -> None:
    assert spent(BUDGET) == ("push 3 of line pr-12: judged at alpha 0.0034; the next gets 0.0019")


def test_a_line_that_somebody_named_cannot_draw_on_the_terminal() -> None:
    assert "\x1b" not in spent(replace(BUDGET, line="\x1b[31mred"))


@pytest.mark.parametrize(
    ("alpha", "text"), [(0.05, "0.05"), (0.030396, "0.03"), (0.000304, "0.0003"), (3e-6, "3e-06")]
)
def test_a_level_has_two_digits(alpha: float, text: str) -> None:
    assert level(alpha) == text
