"""Prompts that a side was trained on take no part in the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.compare.leakage.detect import Leak
from llmops.compare.leakage.exclude import both_scores_notes, exclude_trained
from llmops.compare.leakage.trained_on import TrainedOn
from llmops.errors import DataError
from llmops.records import Answer, Example, Row, Suite

EXAMPLES = tuple(
    Example(f"q{i}", ({"role": "user", "content": str(i)},), None, f"q{i}") for i in range(6)
)
SUITE = Suite("suite", Path("suite.jsonl"), "0" * 64, EXAMPLES)
SAID = Answer("yes", 1, 1, "stop")


def check(number: int, *ids: str) -> TrainedOn:
    return TrainedOn(f"models:/bot/{number}", {one: Leak("duplicate", 1.0) for one in ids})


def row(number: int, baseline: float, candidate: float) -> Row:
    return Row(EXAMPLES[number], SAID, SAID, {"exact": baseline}, {"exact": candidate})


def test_what_any_side_was_trained_on_is_set_aside_in_the_order_of_the_suite() -> None:
    found = exclude_trained([check(1, "q4", "q1"), check(2, "q4", "q2")], SUITE)
    assert [one.id for one in found.trained] == ["q1", "q2", "q4"]
    assert [one.id for one in found.fresh] == ["q0", "q3", "q5"]
    assert [note.split("models:/")[1][:5] for note in found.notes] == ["bot/1", "bot/2"]
    assert found.notes[0].startswith("2 of 6 prompts are in the training data of")


def test_a_side_that_was_checked_in_vain_is_noted_and_one_without_leaks_is_not() -> None:
    found = exclude_trained([TrainedOn("models:/bot/1", None), check(2)], SUITE)
    assert (found.fresh, found.trained) == (EXAMPLES, ())
    (note,) = found.notes
    assert note.startswith("leakage not checked: the training data of models:/bot/1 ")


def test_no_sides_to_check_leave_the_suite_as_it_is() -> None:
    found = exclude_trained([], SUITE)
    assert (found.fresh, found.trained, found.notes) == (EXAMPLES, (), ())


@pytest.mark.parametrize("left", [0, 1])
def test_a_suite_of_which_hardly_anything_is_left_is_refused(left: int) -> None:
    ids = [example.id for example in EXAMPLES[left:]]
    with pytest.raises(
        DataError, match=r"suite suite\.jsonl: .*too few prompts are left to compare"
    ):
        exclude_trained([check(1, *ids)], SUITE)
    two = exclude_trained([check(1, *ids[2 - left :])], SUITE)
    assert len(two.fresh) == 2


@pytest.mark.parametrize(
    ("fewest", "leaked", "refused"),
    [(4, 2, False), (4, 3, True), (6, 1, True), (7, 1, False), (7, 5, True), (6, 0, False)],
    ids=["enough", "too few", "all needed", "small anyhow", "one left", "none leaked"],
)
def test_only_the_rest_counts_towards_the_minimum(fewest: int, leaked: int, refused: bool) -> None:
    unknown = TrainedOn("models:/bot/0", None)  # its note is no reason to refuse
    checks = [unknown, check(1, *[f"q{i}" for i in range(leaked)])]
    if refused:
        with pytest.raises(
            DataError, match=rf"suite\.jsonl: {leaked} of 6 .*: {6 - leaked}, needed: "
        ):
            exclude_trained(checks, SUITE, fewest=fewest)
        return
    found = exclude_trained(checks, SUITE, fewest=fewest)
    assert len(found.fresh) == 6 - leaked
    said = f"{6 - leaked} of 6 prompts count for the verdict"
    assert (said in found.notes) is bool(leaked)


def test_the_first_metric_is_shown_with_and_without() -> None:
    counted, trained = [row(0, 0.0, 0.5), row(1, 1.0, 0.5)], [row(2, 0.5, 1.0), row(3, 0.5, 1.0)]
    assert both_scores_notes(counted, trained) == (
        "exact without them: 0.500 and 0.500 (baseline, candidate); with them: 0.500 and 0.750",
    )
    assert both_scores_notes(counted, []) == ()
