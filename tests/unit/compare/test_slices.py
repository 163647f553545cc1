"""Results by slice: the right rows, the right tests, and no decision by chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from llmops.compare.slices import (
    FEWEST,
    SliceResult,
    SmallSlice,
    looks_to_pay,
    slice_results,
)
from llmops.records import Answer, Example, Row
from llmops.stats import benjamini_hochberg, exact_test
from llmops.stats.terminal import interval
from llmops.stats.units import units_of

SAID = Answer("yes", 1, 1, "stop")


def rows(
    gains: Sequence[float], slices: Mapping[str, str], *, clusters: Sequence[str] | None = None
) -> list[Row]:
    found = []
    for i, gain in enumerate(gains):
        name = f"{sorted(slices.items())}{i}"
        cluster = clusters[i] if clusters else name
        example = Example(name, ({"role": "user", "content": name},), "yes", cluster, slices)
        before = max(0.0, -gain)
        scores = ({"exact": before, "other": 0.5}, {"exact": before + gain, "other": 0.5})
        found.append(Row(example, SAID, SAID, *scores))
    return found


def one(found: Sequence[Row]) -> SliceResult:
    (result,) = slice_results(found, "exact").tested
    return result


def test_a_slice_is_tested_on_its_own_rows_alone() -> None:
    good = rows([1.0] * 9 + [0.0] * 5 + [-1.0], {"topic": "billing"})
    bad = rows([-1.0] * 12, {"topic": "cards"})
    billing, cards = slice_results([*bad, *good, *rows([1.0] * 30, {})], "exact").tested
    assert (billing.key, billing.value, billing.n) == ("topic", "billing", 15)
    assert (billing.wins, billing.ties, billing.losses) == (9, 5, 1)
    assert billing.difference == pytest.approx(8 / 15)
    assert billing.p_value == pytest.approx(22 / 2**10)  # McNemar: 1 loss or fewer of 10, twice
    assert (cards.value, cards.difference) == ("cards", -1.0)
    assert 2 / 2**12 <= cards.p_value < 0.001  # McNemar's, or that of the interval
    assert cards.high < 0 < billing.low


def test_a_row_belongs_to_a_slice_of_each_of_its_tags() -> None:
    found = rows([0.25] * 10, {"topic": "billing", "language": "de"})
    result = slice_results(found, "exact")
    assert [(r.key, r.value, r.n) for r in result.tested] == [
        ("language", "de", 10),
        ("topic", "billing", 10),
    ]


def test_slices_of_one_value_under_two_keys_are_apart() -> None:
    found = [*rows([1.0] * 10, {"a": "x"}), *rows([-1.0] * 10, {"b": "x"})]
    assert [r.difference for r in slice_results(found, "exact").tested] == [1.0, -1.0]


def test_a_small_slice_is_listed_and_neither_tested_nor_counted_in_the_adjustment() -> None:
    small = rows([1.0] * (FEWEST - 1), {"topic": "small"})
    enough = rows([1.0] * FEWEST, {"topic": "enough"})
    result = slice_results([*small, *enough], "exact")
    assert result.too_small == (SmallSlice("topic", "small", FEWEST - 1),)
    (tested,) = result.tested
    assert tested.value == "enough"
    assert tested.p_adjusted == tested.p_value == 2 / 2**FEWEST


def test_interval_and_p_value_are_those_of_the_statistics() -> None:
    rng = np.random.default_rng(0)
    gains = rng.uniform(-0.5, 0.8, 40).round(3).tolist()
    clusters = [f"c{i // 4}" for i in range(40)]
    found = one(rows(gains, {"topic": "billing"}, clusters=clusters))
    scores = [row.candidate_scores["exact"] for row in rows(gains, {"topic": "billing"})]
    units = units_of(gains, clusters, scores)
    assert (found.low, found.high) == pytest.approx(interval(units, 0.025))
    assert found.p_value >= exact_test(gains, clusters)
    apart = one(rows(gains, {"topic": "billing"}))
    assert (apart.low, apart.high) != (found.low, found.high)  # clusters matter
    wide = slice_results(rows(gains, {"topic": "billing"}), "exact", confidence=0.99).tested[0]
    assert wide.low < apart.low
    assert apart.high < wide.high


def test_the_p_value_says_what_the_interval_says() -> None:
    rng = np.random.default_rng(2)
    excluded = []
    for i in range(60):
        size, shift = int(rng.integers(FEWEST, 40)), rng.uniform(-0.3, 0.3)
        gains = (shift + rng.normal(0, 0.2, size)).clip(-1, 1).round(3).tolist()
        if i % 2:
            gains = [float(np.sign(gain)) if abs(gain) > 0.1 else 0.0 for gain in gains]
        found = one(rows(gains, {"topic": "billing"}))
        assert (found.p_value <= 0.05) == (found.low > 0 or found.high < 0)
        excluded.append(found.p_value <= 0.05)
    assert 10 < sum(excluded) < 50


def test_p_values_are_adjusted_over_keys_and_values_together() -> None:
    found: list[Row] = []
    for i, wins in enumerate([12, 10, 9, 8, 6]):
        gains = [1.0] * wins + [-1.0] * (14 - wins)
        found += rows(gains, {"topic" if i % 2 else "language": f"v{i}"})
    tested = slice_results(found, "exact").tested
    expected = benjamini_hochberg([r.p_value for r in tested])
    assert [r.p_adjusted for r in tested] == pytest.approx(expected)
    assert min(r.p_value for r in tested) < 0.05 < min(r.p_adjusted for r in tested)


def test_twenty_slices_without_a_difference_seldom_warn() -> None:
    """Unadjusted, one suite in two would have a slice at 5%; adjusted, one in twenty has."""
    rng = np.random.default_rng(1)
    raw = adjusted = 0
    for _ in range(100):
        found: list[Row] = []
        for i in range(20):
            found += rows(rng.choice([-1.0, 0.0, 1.0], 40).tolist(), {"topic": f"v{i}"})
        tested = slice_results(found, "exact").tested
        raw += min(r.p_value for r in tested) <= 0.05
        adjusted += min(r.p_adjusted for r in tested) <= 0.05
    assert adjusted <= 10 < raw


def test_looks_are_paid_for() -> None:
    found = [
        *rows([1.0] * 22 + [-1.0] * 8, {"topic": "billing"}),
        *rows([0.0] * 10 + [1.0] * 2, {"topic": "cards"}),
    ]
    once, often = (slice_results(found, "exact", looks=looks).tested for looks in (1, 10))
    assert once[0].p_adjusted <= 0.05 < often[0].p_adjusted
    for plain, paid in zip(once, often, strict=True):
        assert paid.p_value == pytest.approx(min(1, 10 * plain.p_value))
        assert paid.low < plain.low < plain.high < paid.high
    wide = slice_results(found, "exact", confidence=0.995).tested[0]
    assert (often[0].low, often[0].high) == pytest.approx((wide.low, wide.high))
    with pytest.raises(ValueError, match="looks"):
        slice_results(found, "exact", looks=0)


def test_only_a_comparison_that_stopped_early_pays_for_looks() -> None:
    found = rows([1.0] * 22 + [-1.0] * 8, {"topic": "billing"})
    for available, looks in ((30, 1), (31, 1), (100, 4)):
        paid = looks_to_pay(len(found), available, 32)
        assert paid == looks
        (shown,) = slice_results(found, "exact", looks=paid).tested
        (expected,) = slice_results(found, "exact", looks=looks).tested
        assert shown == expected


def test_nothing_differs() -> None:
    found = one(rows([0.0] * 20, {"topic": "billing"}))
    assert (found.difference, found.p_value, found.p_adjusted, found.ties) == (0.0, 1.0, 1.0, 20)
    assert found.low < 0 < found.high


def test_a_slice_of_one_cluster_says_nothing() -> None:
    found = one(rows([1.0] * 20, {"topic": "billing"}, clusters=["c"] * 20))
    assert (found.low, found.high, found.p_value) == (-1.0, 1.0, 1.0)


def test_rounding_makes_no_win() -> None:
    example = rows([0.0], {"topic": "a"})[0].example
    close = Row(example, SAID, SAID, {"exact": 0.3}, {"exact": 0.1 + 0.2})
    assert one([close] * 10).ties == 10


def test_no_rows_and_no_slices_have_no_results() -> None:
    assert slice_results([], "exact") == ((), ())
    assert slice_results(rows([1.0] * 20, {}), "exact") == ((), ())


def test_what_cannot_be_tested_is_refused() -> None:
    found = rows([1.0] * 20, {"topic": "billing"})
    with pytest.raises(KeyError, match="chrf"):
        slice_results(found, "chrf")
    with pytest.raises(ValueError, match="confidence"):
        slice_results(found, "exact", confidence=95)
    found[0] = Row(found[0].example, SAID, SAID, {"exact": 0.0}, {"exact": math.nan})
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        slice_results(found, "exact")
