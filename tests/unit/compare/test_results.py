"""The record of a comparison: what is added to it once its figures are known."""

from __future__ import annotations

from report_records import comparison, row, rows

from llmops.compare.results import with_trained, with_trajectories


def test_trajectories_are_of_the_first_metric_and_of_the_first_question() -> None:
    made = comparison(trajectories=())
    assert [one.metric for one in with_trajectories(made, "token_f1").trajectories] == ["token_f1"]
    found = with_trajectories(made, "likelihood")
    assert [one.metric for one in found.trajectories] == ["token_f1", "likelihood"]
    assert found.trajectory("likelihood").points[-1].prompts == len(rows())
    assert found.trajectory("rouge_l").points == ()


def test_prompts_that_were_trained_on_are_shown_and_change_no_figure() -> None:
    made = comparison()
    leaked = [row(50, "a", "b", (0.0, 1.0)), row(51, "a", "b", (0.0, 1.0))]
    found = with_trained(made, leaked)
    assert found.trained == tuple(leaked)
    assert (found.metrics, found.rows) == (made.metrics, made.rows)
    assert found.notes[:-1] == made.notes
    assert found.notes[-1].startswith("token_f1 without them: 0.500 and ")
