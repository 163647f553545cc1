from __future__ import annotations

from dataclasses import replace

import pytest
from report_records import comparison, row

from llmops.records import Answer, IntervalPoint, Trajectory

LOST = Answer("", 0, 0, "error", "too long")


def test_a_metric_is_found_by_its_name_only() -> None:
    made = comparison()
    assert made.metric("token_f1") is made.metrics[0]
    with pytest.raises(KeyError, match="bleu: not computed; computed: token_f1, "):
        made.metric("bleu")


def test_a_trajectory_that_was_not_computed_has_no_points() -> None:
    known = Trajectory("token_f1", (IntervalPoint(10, 0.1, -0.1, 0.3),))
    made = comparison(trajectories=(known,))
    assert made.trajectory("token_f1") is known
    assert made.trajectory("rouge_l") == Trajectory("rouge_l", ())


def test_a_row_fails_only_if_neither_side_answered() -> None:
    answered = row(0, "a", "b", (0.0, 1.0))
    assert not answered.failed
    assert not replace(answered, baseline=LOST).failed
    assert not replace(answered, candidate=LOST).failed
    assert replace(answered, baseline=LOST, candidate=LOST).failed
