"""What each side's answers were like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from report_pages import headings, parse, section, table
from report_records import comparison, decision, rows

from llmops.records import Answer, Row
from llmops.report import html_report

ERROR = Answer("", 0, 0, "error", error="timed out")


def answered(old: Sequence[Answer], new: Sequence[Answer]) -> tuple[Row, ...]:
    return tuple(
        replace(row, baseline=a, candidate=b)
        for row, a, b in zip(rows(len(old)), old, new, strict=True)
    )


def told(shown: Sequence[Row]) -> dict[str, list[str]]:
    page = parse(html_report(comparison(shown=shown), decision()))
    header, *lines = table(section(page, "Answers"))
    assert header == ["", "v2", "v3"]
    return {name: cells for name, *cells in lines}


def answer(tokens: int, reason: str = "stop", seconds: float | None = None) -> Answer:
    return Answer("words", tokens, 40, reason, seconds=seconds)


def test_tokens_are_those_of_the_answers_that_were_given():
    old = [*(answer(n) for n in range(1, 101)), ERROR]
    new = [answer(1_200)] * 101
    assert told(answered(old, new)) == {
        "Tokens per answer, mean": ["50.5", "1,200.0"],
        "Tokens per answer, median": ["50.5", "1,200.0"],
        "Tokens per answer, 95th percentile": ["95.0", "1,200.0"],
        "Stopped by the length limit": ["0 of 100 (0.0%)", "0 of 101 (0.0%)"],
        "Failed": ["1 of 101 (1.0%)", "0 of 101 (0.0%)"],
    }


def test_answers_that_the_limit_stopped_are_counted():
    old = [answer(9, "length"), answer(9), answer(9), answer(9)]
    new = [answer(9, "length")] * 3 + [ERROR]
    found = told(answered(old, new))["Stopped by the length limit"]
    assert found == ["1 of 4 (25.0%)", "3 of 3 (100.0%)"]


def test_seconds_are_told_only_where_they_are_known():
    assert not any("Seconds" in name for name in told(rows(4)))
    old = [answer(9)] * 4
    new = [answer(9, seconds=s) for s in (1.0, 2.0, 3.0, 6.0)]
    found = told(answered(old, new))
    assert found["Seconds per answer, mean"] == ["-", "3.00"]
    assert found["Seconds per answer, median"] == ["-", "2.50"]
    assert list(found)[-1] == "Seconds per answer, 95th percentile"


def test_a_side_without_any_answer_is_told():
    found = told(answered([answer(5)] * 3, [ERROR] * 3))
    assert found["Tokens per answer, mean"] == ["5.0", "-"]
    assert found["Stopped by the length limit"] == ["0 of 3 (0.0%)", "-"]
    assert found["Failed"] == ["0 of 3 (0.0%)", "3 of 3 (100.0%)"]


@pytest.mark.parametrize("gate", [decision(), None])
def test_without_prompts_there_is_no_such_section(gate):
    assert "Answers" not in headings(parse(html_report(comparison(shown=()), gate)))


def test_a_figure_that_needs_attention_stands_out() -> None:
    cut = [answer(9, "length")] * 3
    page = parse(html_report(comparison(shown=answered([answer(9)] * 3, cut)), decision()))
    (bold,) = (each for each in section(page, "Answers").iter("b"))
    assert (bold.text, bold.get("class")) == ("3 of 3 (100.0%)", "bad")
