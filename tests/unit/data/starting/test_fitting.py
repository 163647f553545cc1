"""What fits a file is decided by its rows."""

from __future__ import annotations

import pytest

from llmops.data.starting.fitting import TOKENS, fitting, metric_of


def rows(answers: list[str], prompt: str = "question") -> list[dict[str, str]]:
    return [{"prompt": f"{prompt} {i}", "completion": a} for i, a in enumerate(answers)]


@pytest.mark.parametrize(
    ("answers", "metric", "why"),
    [
        (["yes", "no"] * 10, "exact", "2 labels"),
        ([str(i * 1.5) for i in range(20)], "exact", "the answers are numbers"),
        ([f"{i},000" for i in range(20)], "exact", "the answers are numbers"),
        ([f'{{"id": {i}}}' for i in range(20)], "json_fields", "the answers are JSON objects"),
        ([f"text {i}" for i in range(20)], "token_f1", "the answers are free text"),
        ([*(f'{{"id": {i}}}' for i in range(19)), "[1]"], "token_f1", "the answers are free text"),
    ],
)
def test_the_answers_decide_the_metric(answers: list[str], metric: str, why: str) -> None:
    assert metric_of(rows(answers)) == (metric, why)


@pytest.mark.parametrize(("count", "share"), [(20, 0.5), (400, 0.38), (5_000, 0.2)])
def test_few_rows_hold_out_a_larger_share(count: int, share: float) -> None:
    assert fitting(rows([f"text {i}" for i in range(count)])).test_fraction == share


def test_answers_are_not_cut_but_for_the_longest_of_many() -> None:
    assert fitting(rows(["yes", "no"] * 50)).max_tokens == 8
    assert fitting(rows(["x" * 60 + str(i) for i in range(50)])).max_tokens == 32
    assert fitting(rows([f"text {i}" for i in range(199)] + ["x" * 900])).max_tokens == 8


def test_a_long_file_gets_a_short_first_run_and_a_short_one_a_whole_epoch() -> None:
    few, many = fitting(rows(["a", "b"] * 20)), fitting(rows(["a", "b"] * 5_000))
    assert few.steps is None
    assert many.steps is not None
    assert many.steps * 8 * 50 == pytest.approx(TOKENS, rel=0.2)


def test_examples_that_are_too_long_are_counted() -> None:
    fit = fitting(rows([*(f"text {i}" for i in range(30)), "x" * 9_000]))
    assert (fit.max_length, fit.long) == (1024, 1)
    assert fitting(rows([f"text {i}" for i in range(30)])).long == 0
