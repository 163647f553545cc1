"""What a gate will spend."""

from __future__ import annotations

import pytest

from llmops.gate.planning.forecast import forecast
from llmops.recipe.schema import Policy
from llmops.records import Example, Suite

SUITE = Suite(
    "s",
    None,
    "d" * 64,
    tuple(
        Example(f"q{i}", ({"role": "user", "content": "word" * 10},), "A", f"q{i}")
        for i in range(6)
    ),
)


def policy(*scorers: str, **compare: object) -> Policy:
    return Policy.model_validate(
        {
            "schema_version": 1,
            "model": "bot",
            "compare": {"scorers": scorers, **compare},
            "gate": {"require": [{"metric": "token_f1", "must": "improve"}]},
        }
    )


def test_everything_is_counted_for_both_sides() -> None:
    found = forecast(policy("token_f1", max_tokens=10), SUITE)
    assert (found.prompts, found.answers) == (6, 12)
    assert (found.prompt_tokens, found.answer_tokens) == (120, 120)
    assert (found.judge_requests, found.minutes, found.usd) == (0, None, None)
    assert "Minutes  unknown: no earlier comparison" in found.text


def test_repeats_and_judges_cost_more() -> None:
    asked = policy("token_f1", "judge:openai:http://127.0.0.1:9/v1#m", repeats=2, temperature=1)
    found = forecast(asked, SUITE)
    assert (found.answers, found.judge_requests, found.prompt_tokens) == (24, 24, 240)
    assert "Judge    24 requests" in found.text


def test_time_and_price_follow_from_an_earlier_comparison() -> None:
    found = forecast(policy("token_f1"), SUITE, seconds_per_prompt=20.0, usd_per_hour=3.0)
    assert found.minutes == pytest.approx(2.0)
    assert found.usd == pytest.approx(0.1)
    assert "Minutes  about 2.0" in found.text
    assert "Dollars  about $0.10" in found.text
    assert forecast(policy("token_f1"), SUITE, usd_per_hour=3.0).usd is None
