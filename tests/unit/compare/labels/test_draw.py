"""The sample that humans label: random, the same for everybody, blinded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from labelled import compared
from report_records import side

from llmops.compare.labels.draw import draw
from llmops.errors import DataError, UsageError
from llmops.records import Comparison


def ids(comparison: Comparison, size: int = 60) -> list[str]:
    return [one.row.example.id for one in draw(comparison, size)]


def test_the_same_comparison_draws_the_same_prompts() -> None:
    made = compared()
    again = replace(made, rows=made.rows[::-1], run_id="other", seconds=1.0)
    assert draw(made, 60) == draw(again, 60)
    assert len(set(ids(made))) == 60
    assert [one.position for one in draw(made, 60)] == list(range(1, 61))


def test_another_suite_or_side_draws_others() -> None:
    made = compared()
    other = replace(side("v3"), adapter_digest="ee" * 32)
    for change in ({"suite_digest": "aa" * 32}, {"candidate": other}, {"baseline": other}):
        assert set(ids(replace(made, **change))) != set(ids(made))


def test_every_prompt_is_drawn_equally_often_and_either_side_comes_first() -> None:
    made, drawn, swapped = compared(), dict.fromkeys(range(120), 0), 0
    for suite in range(200):
        for one in draw(replace(made, suite_digest=f"{suite}"), 60):
            drawn[int(one.row.example.id[1:])] += 1
            swapped += one.swapped
    counts = list(drawn.values())
    assert 70 < min(counts) < 100 < max(counts) < 130  # binomial: 100 ± 7
    assert swapped / 12_000 == pytest.approx(0.5, abs=0.02)


def test_the_order_of_answers_is_that_of_the_draw() -> None:
    for one in draw(compared(), 60):
        texts = one.row.baseline.text, one.row.candidate.text
        assert one.answers == (texts[::-1] if one.swapped else texts)


def test_a_key_belongs_to_one_prompt_one_sample_and_these_answers() -> None:
    made = compared()
    keys = {one.key for one in draw(made, 60)}
    assert len(keys) == 60
    changed = [
        replace(row, candidate=replace(row.candidate, text=row.candidate.text + "!"))
        for row in made.rows
    ]
    assert not keys & {one.key for one in draw(replace(made, rows=tuple(changed)), 60)}
    assert not keys & {one.key for one in draw(made, 61)}
    assert all(not key[0].isdigit() for key in keys), "a spreadsheet would make a number of it"


def test_a_prompt_that_nobody_answered_is_not_drawn() -> None:
    made = compared()
    first = ids(made)[0]
    rows = [
        replace(
            row,
            baseline=replace(row.baseline, error="down"),
            candidate=replace(row.candidate, error="down"),
        )
        if row.example.id == first
        else row
        for row in made.rows
    ]
    left = ids(replace(made, rows=tuple(rows)))
    assert first not in left
    assert left[:59] == ids(made)[1:], "the others keep their places"


def test_what_could_not_be_used_is_refused_before_anyone_labels() -> None:
    with pytest.raises(UsageError, match="stopped after 120 of 500") as stopped:
        draw(compared(available=500), 60)
    assert stopped.value.next_command == "rerun with --method fixed"
    with pytest.raises(DataError, match="at least 2 must be left") as small:
        draw(compared(), 119)
    assert small.value.next_command == "draw at most 118, or compare on a larger suite"
    with pytest.raises(DataError, match="at least 50"):
        draw(compared(), 49)
    with pytest.raises(DataError, match="8 clusters"):
        draw(compared(cluster=15), 60)
