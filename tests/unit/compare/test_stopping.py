"""Stopping early: what is asked, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmops.compare.stopping import Ask, CandidateResult, Plan, ask_until_decided
from llmops.recipe.schema import Requirement
from llmops.records import Answer, Example, Row, Suite
from llmops.stats import paired_test
from llmops.stats.terminal import interval, p_above
from llmops.stats.units import units_of

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

    def ask(indices: Sequence[int]) -> list[list[Row]]:
        asked.extend(indices)
        said = Answer("yes", 1, 1, "stop")
        return [
            [
                Row(SUITE.examples[i], said, said, {"exact": right[i, 0]}, {"exact": right[i, 1]})
                for i in indices
            ]
        ]

    return ask


def looked(
    gain: float,
    method: str,
    asked: list[int],
    questions: Sequence[Requirement] = (Requirement(metric="exact", must="improve"),),
    min_prompts: int = 0,
) -> CandidateResult:
    plan = Plan(method, 20, 0.95, tuple(questions), min_prompts, seed=1)  # type: ignore[arg-type]
    (found,) = ask_until_decided(asking(gain, asked), SUITE.examples, ["exact"], plan)
    return found


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


def test_fixed_is_the_terminal_test_of_all_prompts() -> None:
    found = looked(0.1, "fixed", [])
    before = [row.baseline_scores["exact"] for row in found.rows]
    after = [row.candidate_scores["exact"] for row in found.rows]
    clusters = [row.example.cluster for row in found.rows]
    test, plain = found.metrics[0].test, paired_test(before, after, clusters)
    units = units_of([b - a for a, b in zip(before, after, strict=True)], clusters)
    assert (test.low, test.high) == interval(units, 0.025)
    assert test.p_value == pytest.approx(2 * p_above(units, 0.0))
    assert (test.difference, test.wins, test.losses) == (
        plain.difference,
        plain.wins,
        plain.losses,
    )


def test_it_goes_on_until_every_question_is_decided() -> None:
    asked: list[int] = []
    loose = Requirement(metric="exact", must="not_regress", margin=0.2)
    looked(0.4, "hybrid", asked, [loose])
    first = len(asked)
    asked.clear()
    strict = Requirement(metric="exact", must="improve", margin=0.2)
    looked(0.4, "hybrid", asked, [loose, strict])
    assert first < len(asked) < PROMPTS
    found = looked(0.4, "hybrid", [], [loose, strict])
    assert found.metrics[0].test.low > 0.2


def test_a_demand_that_failed_ends_it() -> None:
    asked: list[int] = []
    hopeless = Requirement(metric="exact", must="improve", margin=0.1)
    open_question = Requirement(metric="exact", must="not_regress", margin=0.9)
    found = looked(-0.4, "hybrid", asked, [hopeless, open_question])
    assert len(asked) < PROMPTS
    assert found.metrics[0].test.high < 0.1


def test_it_does_not_stop_before_the_policys_minimum() -> None:
    asked: list[int] = []
    looked(0.4, "hybrid", asked, min_prompts=300)
    assert 300 <= len(asked) < PROMPTS


def test_a_prompt_that_failed_on_both_sides_is_left_out_and_the_last_test_held() -> None:
    real = asking(0.0, [])
    lost = Answer("", 0, 0, "error", error="down")

    def ask(indices: Sequence[int]) -> list[list[Row]]:
        return [
            [replace(r, baseline=lost, candidate=lost) if r.example.id == "q7" else r for r in rows]
            for rows in real(indices)
        ]

    question = Requirement(metric="exact", must="improve")
    for method in ("fixed", "hybrid"):
        (found,) = ask_until_decided(
            ask, SUITE.examples, ["exact"], Plan(method, 20, 0.95, (question,))
        )
        assert len(found.rows) == PROMPTS
        assert found.metrics[0].test.n == PROMPTS - 1
        assert -0.5 < found.metrics[0].test.low < 0 < found.metrics[0].test.high < 0.5


@pytest.mark.parametrize(("gain", "early"), [(0.4, False), (-0.4, True)])
def test_where_something_else_needs_every_prompt_only_a_failure_stops_early(
    gain: float, early: bool
) -> None:
    questions = (Requirement(metric="exact", must="not_regress", margin=0.05),)
    plan = Plan("hybrid", 20, 0.95, questions, seed=1, whole=True)
    (found,) = ask_until_decided(asking(gain, []), SUITE.examples, ["exact"], plan)
    assert (len(found.rows) < PROMPTS) is early
