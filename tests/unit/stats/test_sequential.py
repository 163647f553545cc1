from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from llmops.records import Verdict
from llmops.stats.eprocess import log_e_values
from llmops.stats.exact import mcnemar
from llmops.stats.paired import paired_test
from llmops.stats.result import Method, Must, SequentialResult
from llmops.stats.sequential import SequentialTest

METHODS: tuple[Method, ...] = get_args(Method)


def ternary(seed: int, n: int, mean: float, q: float = 0.3) -> np.ndarray:
    uniform = np.random.default_rng(seed).random(n)
    return np.where(uniform < (q + mean) / 2, 1.0, np.where(uniform < q, -1.0, 0.0))


def exactly(n: int, mean: float, q: float = 0.3) -> np.ndarray:
    """These shares of wins and losses, in random order."""
    wins, losses = round(n * (q + mean) / 2), round(n * (q - mean) / 2)
    values = [1.0] * wins + [-1.0] * losses + [0.0] * (n - wins - losses)
    return np.random.default_rng(2).permutation(values)


def play(test: SequentialTest, values: np.ndarray, block: int = 25) -> SequentialResult:
    run(test, values, block)
    return test.finish()


def run(test: SequentialTest, values: np.ndarray, block: int = 25) -> SequentialTest:
    for start in range(0, len(values), block):
        if test.update(values[start : start + block]):
            break
    return test


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("must", "margin", "mean", "verdict", "passed"),
    [
        ("improve", 0.0, 0.25, Verdict.IMPROVED, True),
        ("improve", 0.0, -0.25, Verdict.REGRESSED, False),
        ("improve", 0.0, 0.0, Verdict.INCONCLUSIVE, None),
        ("improve", 0.2, 0.05, Verdict.IMPROVED, False),
        ("not_regress", 0.1, 0.0, Verdict.NOT_WORSE, True),
        ("not_regress", 0.1, -0.25, Verdict.REGRESSED, False),
    ],
)
def test_each_claim_is_made_when_it_is_true(
    method: Method, must: Must, margin: float, mean: float, verdict: Verdict, passed: bool | None
) -> None:
    found = play(SequentialTest(must, margin, cap=1_000, method=method), exactly(1_000, mean))
    assert found.passed is passed
    assert found.verdict is verdict or (must == "improve" and passed is False)
    assert (found.decided_by is None) == (passed is None)
    if passed is None or method == "fixed":
        assert found.n == 1_000
    elif abs(mean) > 0.2:
        assert found.n < 400


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("must", get_args(Must))
def test_the_interval_says_the_same_as_the_verdict(method: Method, must: Must) -> None:
    for seed, mean in enumerate(np.linspace(-0.2, 0.2, 25)):
        test = SequentialTest(must, 0.06, cap=400, method=method, alpha=0.1)
        found = play(test, ternary(seed, 400, mean))
        tiny = 1e-6
        if found.passed:
            assert found.low > found.bar - tiny
        elif found.passed is False:
            assert found.high < max(0.0, found.bar) + tiny
        else:
            assert found.low <= found.bar + tiny
        if found.verdict is Verdict.IMPROVED:
            assert found.low > -tiny
        if found.verdict is Verdict.REGRESSED:
            assert found.high < tiny
        assert found.low <= found.difference <= found.high or found.looks > 1


def test_fixed_is_one_exact_test_at_the_end() -> None:
    values = ternary(3, 300, 0.06)
    test = SequentialTest("improve", 0.0, cap=300, method="fixed")
    assert not any(test.update(values[i : i + 25]) for i in range(0, 275, 25))
    before = test.result()
    assert (before.low, before.high, before.p_value, before.verdict) == (
        -1.0,
        1.0,
        None,
        Verdict.INCONCLUSIVE,
    )
    assert test.update(values[275:])
    found = test.result()
    exact = mcnemar(found.wins, found.losses, alternative="greater")
    assert found.p_value is not None
    assert (found.p_value <= 0.05) == (exact <= 0.05)
    assert found.p_value == pytest.approx(exact, rel=0.35)
    assert found.e_value is None
    assert found.p_overall == found.p_value


def test_hybrid_gives_the_looks_a_fifth() -> None:
    values = ternary(4, 1_000, 0.2)
    test = SequentialTest("improve", 0.0, cap=1_000, method="hybrid")
    found = play(test, values)
    path = log_e_values(values, 0.0)[24::25]
    first = int(np.argmax(path >= math.log(100)))
    assert found.n == 25 * (first + 1)
    assert found.e_value == pytest.approx(math.exp(path[first]))
    assert found.e_needed == pytest.approx(100)
    assert found.decided_by == "e-process"
    assert found.p_value is None
    assert found.p_overall == pytest.approx(5 / found.e_value)


def test_hybrid_gives_the_last_test_the_rest() -> None:
    found = play(SequentialTest("improve", 0.0, cap=600, method="hybrid"), ternary(1, 600, 0.055))
    assert found.p_needed == pytest.approx(0.04)
    assert found.n == 600
    assert found.p_value is not None
    assert found.p_overall == pytest.approx(min(found.p_value / 0.8, 5 / (found.e_value or 1)))


def test_a_smaller_suite_ends_with_its_last_test() -> None:
    for method in METHODS:
        test = SequentialTest("not_regress", 0.1, cap=10_000, method=method)
        found = play(test, ternary(5, 200, 0.0, q=0.1))
        assert test.done
        assert found.passed, method
        with pytest.raises(ValueError, match="ended"):
            test.update([0.0])


def test_without_prompts_nothing_is_shown() -> None:
    for method in METHODS:
        test = SequentialTest("improve", 0.0, cap=100, method=method)
        assert not test.update([])
        found = test.finish()
        assert (found.n, found.low, found.high) == (0, -1.0, 1.0)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert math.isnan(found.difference)


@pytest.mark.parametrize("values", [[1.0], [0.5, 0.5], [0.0], [-1.0, 1.0]])
def test_one_or_two_prompts_show_nothing(values: list[float]) -> None:
    for method in METHODS:
        found = play(SequentialTest("improve", 0.0, cap=2, method=method), np.array(values))
        assert found.verdict is Verdict.INCONCLUSIVE


def test_ties_alone_pass_a_margin_after_some_prompts() -> None:
    found = play(SequentialTest("not_regress", 0.05, cap=2_000, method="anytime"), np.zeros(2_000))
    assert found.verdict is Verdict.NOT_WORSE
    assert 50 < found.n < 150


@pytest.mark.parametrize("method", METHODS)
def test_clusters_come_whole(method: Method) -> None:
    names = np.repeat([f"c{i}" for i in range(40)], 5)
    values = np.repeat(np.random.default_rng(6).uniform(0.0, 0.6, 40), 5)
    test = SequentialTest("improve", 0.0, cap=200, method=method, largest_cluster=5)
    for start in range(0, 200, 25):
        if test.update(values[start : start + 25], names[start : start + 25].tolist()):
            break
    found = test.result()
    assert found.verdict is Verdict.IMPROVED
    assert found.units * 5 == found.n


def test_copies_of_a_prompt_in_one_cluster_are_one_observation() -> None:
    values = ternary(7, 200, 0.15)
    once = play(SequentialTest("improve", 0.0, cap=200, method="anytime"), values)
    test = SequentialTest("improve", 0.0, cap=600, method="anytime", largest_cluster=3)
    for start in range(0, 200, 25):
        block = values[start : start + 25]
        names = [str(start + i) for i in range(len(block)) for _ in range(3)]
        if test.update(np.repeat(block, 3), names):
            break
    copied = test.result()
    assert (copied.verdict, copied.n, copied.units) == (once.verdict, 3 * once.n, once.units)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=1e-6)


def test_misuse_is_refused() -> None:
    test = SequentialTest("improve", 0.0, cap=100, method="hybrid", largest_cluster=2)
    test.update([0.1, 0.2], ["a", "a"])
    for values, names, complaint in (
        ([0.1], ["a"], "'a' is in two blocks"),
        ([0.1] * 3, ["b"] * 3, "largest_cluster is 2"),
        ([1.2], None, r"\[-1, 1\]"),
    ):
        with pytest.raises(ValueError, match=complaint):
            test.update(values, names)
    assert test.n == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"must": "win"}, "must"),
        ({"margin": 0.0}, "margin"),
        ({"margin": 1.0}, "margin"),
        ({"margin": math.nan}, "margin"),
        ({"method": "peek"}, "method"),
        ({"alpha": 0.5}, "alpha"),
        ({"cap": 0}, "cap"),
        ({"largest_cluster": 0}, "largest_cluster"),
    ],
)
def test_arguments_outside_their_range_are_refused(
    change: dict[str, object], complaint: str
) -> None:
    good: dict[str, object] = {"must": "not_regress", "margin": 0.05, "cap": 100}
    with pytest.raises(ValueError, match=complaint):
        SequentialTest(**{**good, **change})  # type: ignore[arg-type]


def share(event: Callable[[int], bool], runs: int) -> float:
    return sum(event(seed) for seed in range(runs)) / runs


@pytest.mark.parametrize("method", METHODS)
def test_looking_after_every_block_keeps_the_level(method: Method) -> None:
    # A plain test after each of these 16 blocks claims a false gain in a fifth of all comparisons.
    def claimed(seed: int) -> bool:
        test = SequentialTest("improve", 0.0, cap=400, method=method)
        return run(test, ternary(seed, 400, 0.0)).verdict is Verdict.IMPROVED

    assert share(claimed, 400) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_looking_with_a_fixed_test_does_not_keep_it() -> None:
    def claimed(seed: int) -> bool:
        values = ternary(seed, 400, 0.0)
        gains, losses = (values > 0).cumsum()[24::25], (values < 0).cumsum()[24::25]
        return any(
            mcnemar(w, x, alternative="greater") <= 0.05 for w, x in zip(gains, losses, strict=True)
        )

    assert share(claimed, 400) > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_of_the_margin_rarely_passes(method: Method) -> None:
    def passed(seed: int) -> bool:
        test = SequentialTest("not_regress", 0.05, cap=400, method=method)
        return bool(run(test, ternary(seed, 400, -0.05, q=0.08)).passed)

    assert share(passed, 400) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_the_existing_interval_agrees_where_scores_are_plain() -> None:
    rng = np.random.default_rng(9)
    before, after = rng.uniform(0, 1, (2, 300))
    found = play(
        SequentialTest("improve", 0.0, cap=300, method="fixed", alpha=0.025), after - before
    )
    known = paired_test(before.tolist(), after.tolist())
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.003)
    assert dataclasses.is_dataclass(found)
