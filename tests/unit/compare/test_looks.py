"""Stopping early: what is asked, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from llmops.compare.looks import Ask, Looked, look
from llmops.records import Answer, Example, Row, Suite
from llmops.stats import paired_test

PROMPTS = 400
SUITE = Suite(
    name="suite",
    path=Path("suite.jsonl"),
    digest="0" * 64,
    examples=tuple(
        Example(f"q{i}", ({"role": "user", "content": str(i)},), "yes", f"c{i // 2}")
        for i in range(PROMPTS)
    ),
)


def asking(gain: float, asked: list[int]) -> Ask:
    """Sides that are right half the time; the candidate more often, by the gain."""
    chance = np.random.default_rng(0).random((PROMPTS, 2))
    right = (chance < [0.5, 0.5 + gain]).astype(float)
    if gain == 0:
        right[:, 1] = np.roll(right[:, 0], 2)  # as many right answers, to other prompts

    def ask(indices: Sequence[int]) -> list[Row]:
        asked.extend(indices)
        said = Answer("yes", 1, 1, "stop")
        return [
            Row(SUITE.examples[i], said, said, {"exact": right[i, 0]}, {"exact": right[i, 1]})
            for i in indices
        ]

    return ask


def looked(gain: float, method: str, asked: list[int]) -> Looked:
    return look(
        asking(gain, asked),
        SUITE,
        ["exact"],
        ("a", "b"),
        method=method,  # type: ignore[arg-type]
        block=20,
        confidence=0.95,
    )


@pytest.mark.parametrize("method", ["hybrid", "obf", "anytime"])
@pytest.mark.parametrize("gain", [0.4, -0.4])
def test_a_clear_difference_stops_early_with_the_verdict_of_all_prompts(
    method: str, gain: float
) -> None:
    asked: list[int] = []
    found = looked(gain, method, asked)
    assert len(asked) == len(set(asked)) == len(found.rows) <= PROMPTS / 2
    assert found.note is not None
    assert f"stopped after {len(asked)} of 400 prompts: exact was decided ({method})" in found.note
    (early,) = (result.test for result in found.metrics)
    (whole,) = (result.test for result in looked(gain, "fixed", []).metrics)
    assert (
        (early.low > 0, early.high < 0) == (whole.low > 0, whole.high < 0) == (gain > 0, gain < 0)
    )
    assert [row.example.id for row in found.rows] == [f"q{i}" for i in sorted(asked)]


@pytest.mark.parametrize("method", ["fixed", "hybrid", "obf", "anytime"])
def test_without_a_difference_every_prompt_is_asked(method: str) -> None:
    asked: list[int] = []
    found = looked(0.0, method, asked)
    assert sorted(asked) == list(range(PROMPTS))
    assert found.note is None
    (test,) = (result.test for result in found.metrics)
    assert test.low < 0 < test.high


def test_a_cluster_is_asked_whole_and_the_order_follows_from_the_digests() -> None:
    first, again = [], []
    looked(0.4, "hybrid", first)
    looked(0.4, "hybrid", again)
    assert first == again
    assert {i // 2 for i in first if i % 2} == {i // 2 for i in first if not i % 2}
    assert first != sorted(first)


def test_fixed_is_the_paired_test_of_all_prompts() -> None:
    found = looked(0.1, "fixed", [])
    before = [row.baseline_scores["exact"] for row in found.rows]
    after = [row.candidate_scores["exact"] for row in found.rows]
    clusters = [row.example.cluster for row in found.rows]
    assert found.metrics[0].test == paired_test(before, after, clusters)
