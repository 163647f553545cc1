"""Swapped sides get the opposite verdict: same p-values, mirrored intervals, whatever the scores."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.records import Verdict
from llmops.stats import SequentialTest, paired_test
from llmops.stats.plan import blocks, spread_blocks
from llmops.stats.result import E_SHARES, Method
from llmops.stats.terminal import interval, p_above
from llmops.stats.units import units_of

OPPOSITE = {Verdict.IMPROVED: Verdict.REGRESSED, Verdict.REGRESSED: Verdict.IMPROVED}
EXACT = 1e-12
CASES = int(os.environ.get("ANTISYMMETRY_CASES", "150"))
"""Cases for each test; 2,000 were run for the documented figure, 12,000 in all."""
KINDS = ("0 or 1", "any", "small", "mostly ties", "one side fails")
Scores = tuple[np.ndarray, np.ndarray, list[str] | None]


@st.composite
def scores(draw: st.DrawFn, most: int = 60) -> Scores:
    """Baseline and candidate, shape (n,) each, and cluster names or none."""
    n, kind = draw(st.integers(2, most)), draw(st.sampled_from(KINDS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    before, after = rng.random(n), rng.random(n)
    if kind == "0 or 1":
        before, after = (before < 0.5) * 1.0, (after < draw(st.floats(0, 1))) * 1.0
    elif kind == "small":
        before = 0.02 + 0.04 * before
        after = before + draw(st.sampled_from([-1, 1])) * 0.019 * after
    elif kind == "mostly ties":
        after = np.where(rng.random(n) < 0.9, before, after)
    elif kind == "one side fails":
        after = np.where(rng.random(n) < draw(st.floats(0, 1)), 0.0, before)
    names = [f"c{i}" for i in rng.integers(0, max(2, n // 3), n)]
    return before, after, draw(st.sampled_from([None, names]))


@settings(max_examples=CASES, deadline=None, derandomize=True)
@given(scores())
def test_the_last_test_mirrors(drawn: Scores) -> None:
    before, after, names = drawn
    there = interval(units_of(after - before, names, after), 0.02, draws=1_999)
    back = interval(units_of(before - after, names, before), 0.02, draws=1_999)
    np.testing.assert_allclose(there, [-back[1], -back[0]], atol=EXACT)
    units = units_of(after - before, names, after)
    for bound in (0.0, 0.04):
        mirrored = p_above(units_of(before - after, names, before), bound, draws=199)
        assert p_above(units.mirrored, bound, draws=199) == pytest.approx(mirrored, abs=EXACT)
    one, other = paired_test(before, after, names), paired_test(after, before, names)
    np.testing.assert_allclose(
        [one.difference, one.low, one.high, one.p_value, one.detectable],
        [-other.difference, -other.high, -other.low, other.p_value, other.detectable],
        atol=EXACT,
    )


def played(method: Method, drawn: Scores, size: int, **demand: Any) -> SequentialTest:
    before, after, names = drawn
    most = 1 if names is None else max(map(names.count, names))
    test = SequentialTest(
        demand.get("must", "improve"), demand.get("margin", 0.0),
        cap=before.size, method=method, alpha=0.025, largest_cluster=most,
    )  # fmt: skip
    cut = blocks if method in E_SHARES else spread_blocks
    parts = [np.arange(before.size)] if method == "fixed" else cut(before.size, size, 3, names)
    for part in parts:
        own = None if names is None else [names[i] for i in part]
        if test.update((after - before)[part], own, after[part]):
            break
    return test


@pytest.mark.parametrize("method", ["spend", "hybrid", "fixed", "obf", "anytime"])
@settings(max_examples=CASES, deadline=None, derandomize=True)
@given(scores(), st.sampled_from([7, 16, 32]))
def test_every_method_mirrors(method: Method, drawn: Scores, size: int) -> None:
    before, after, names = drawn
    there, back = played(method, drawn, size), played(method, (after, before, names), size)
    one, other = there.result(), back.result()
    assert one.verdict == OPPOSITE.get(other.verdict, other.verdict)
    assert (one.n, one.looks) == (other.n, other.looks)
    np.testing.assert_allclose(
        [one.low, one.high, there.p_value(), there.p_value(below=True)],
        [-other.high, -other.low, back.p_value(below=True), back.p_value()],
        atol=EXACT,
    )


@pytest.mark.parametrize("method", ["spend", "hybrid", "fixed", "obf", "anytime"])
def test_the_loss_of_a_small_gain_is_shown_as_surely_as_the_gain(method: Method) -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0.02, 0.06, 60)
    high = low + rng.uniform(0.01, 0.06, 60)
    gain, loss = (
        played(method, pair, 32).finish() for pair in ((low, high, None), (high, low, None))
    )
    expected = {"anytime": Verdict.INCONCLUSIVE}.get(method, Verdict.IMPROVED)
    assert gain.verdict == expected
    assert loss.verdict == OPPOSITE.get(expected, expected)


@pytest.mark.parametrize("method", ["spend", "hybrid", "fixed", "obf"])
def test_answers_of_nothing_but_newlines_are_rejected(method: Method) -> None:
    before = np.random.default_rng(1).beta(2, 5, 60)
    result = played(method, (before, np.zeros(60), None), 32).finish()
    assert (result.wins, result.ties, result.verdict) == (0, 0, Verdict.REGRESSED)
    assert result.passed is False


@pytest.mark.parametrize("must", ["improve", "not_regress"])
@pytest.mark.parametrize("method", ["spend", "hybrid", "obf", "anytime"])
def test_looks_that_contradict_each_other_decide_nothing(method: Method, must: Any) -> None:
    # Another metric may keep a comparison going after this one was decided.
    gains = np.repeat([0.4, -0.8], 320) + np.tile(np.linspace(-0.1, 0.1, 32), 20)
    shown = {}
    for sign in (1, -1):
        test = SequentialTest(must, 0.1, cap=gains.size, method=method, alpha=0.025)
        for start in range(0, gains.size, 32):
            test.update(sign * gains[start : start + 32])
        shown[sign] = test.finish()
    assert {result.verdict for result in shown.values()} == {Verdict.INCONCLUSIVE}
    assert {result.passed for result in shown.values()} == {None}
    assert shown[1].low < 0 < shown[1].high
