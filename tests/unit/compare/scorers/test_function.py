"""Functions and scorers of MLflow that were never in a module."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
from mlflow.entities import Feedback
from mlflow.genai import scorer

from llmops.compare.scorers import load_scorers, score
from llmops.compare.scorers.scorer import Scorer, Unscored
from llmops.errors import UsageError
from llmops.records import Answer, Example

EXAMPLE = Example("q1", ({"role": "user", "content": "2 + 2 = ?"},), "4", "q1")


def judged(given: Any, answer: str = "4") -> float:
    (loaded,) = load_scorers([given])
    assert loaded.judge is not None
    return loaded.judge(EXAMPLE, answer)


def same(answer: str, expected: str) -> float:
    return float(answer == expected)


def short(text: str) -> bool:
    return len(text) < 3


def of_prompt(prompt: str, answer: str, unused: int = 3) -> float:
    return len(answer) / len(prompt)


def swapped(expected: str, answer: str) -> bool:
    return (answer, expected) == ("5", "4")


def test_a_function_gets_what_its_parameters_name() -> None:
    assert judged(same) == 1.0
    assert judged(same, "5") == 0.0
    assert judged(short) == 1.0
    assert judged(of_prompt, "4" * 9) == 1.0
    assert judged(swapped, "5") == 1.0, "by name, not by place"
    assert judged(lambda_named("mine", lambda a, b: a == b)) == 1.0


def lambda_named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


def test_only_a_function_that_reads_it_needs_the_expected_answer() -> None:
    found = load_scorers([same, short, of_prompt])
    assert [one.needs_expected for one in found] == [True, False, False]
    assert [one.name for one in found] == ["same", "short", "of_prompt"]
    assert found[0].spec == "function:same"


@scorer
def in_a_cell(outputs: str, expectations: dict[str, Any]) -> Feedback:
    return Feedback(value="yes" if outputs == expectations["expected_response"] else "no")


def test_a_scorer_of_mlflow_is_taken_as_it_is_alone_or_in_a_list() -> None:
    assert judged(in_a_cell) == 1.0
    assert judged(in_a_cell, "5") == 0.0
    (alone,) = load_scorers(in_a_cell)
    assert (alone.name, alone.needs_expected) == ("in_a_cell", True)


def test_one_scorer_need_not_be_in_a_list() -> None:
    assert [one.name for one in load_scorers("exact")] == ["exact"]
    assert [one.name for one in load_scorers(same)] == ["same"]
    assert [one.name for one in load_scorers(["exact", same, in_a_cell])] == [
        "exact",
        "same",
        "in_a_cell",
    ]


def digest_of(source: str) -> str:
    """The digest of a function that has no source file, as in an interactive session."""
    made: dict[str, Any] = {}
    exec(source, made)
    (loaded,) = load_scorers([made["mine"]])
    return loaded.digest


def test_the_digest_is_that_of_the_definition() -> None:
    one = digest_of("def mine(answer):\n    return len(answer) > 3")
    assert one == digest_of("def mine(answer):\n    return len(answer) > 3")
    assert one != digest_of("def mine(answer):\n    return len(answer) > 4")
    assert one != digest_of("def mine(answer):\n    return min(len(answer) > 3, 1)")
    inner = "def mine(answer):\n    return any(c == '{}' for c in answer)"
    assert digest_of(inner.format("a")) != digest_of(inner.format("b"))
    assert load_scorers([same])[0].digest != load_scorers([short])[0].digest


def test_what_a_function_returns_is_read_like_a_judgement() -> None:
    def nothing(answer: str) -> None:
        return None

    def word(answer: str) -> str:
        return "perhaps"

    assert math.isnan(judged(nothing))
    with pytest.raises(Unscored, match="perhaps"):
        judged(word)

    def broken(answer: str) -> float:
        return 1 / 0

    with pytest.raises(UsageError, match="'broken': example 'q1': raised ZeroDivisionError"):
        score([EXAMPLE], [Answer("4", 1, 9, "stop")], load_scorers([broken]))


class Rule:
    """Has no ``__name__`` of its own."""

    def __call__(self, answer: str) -> float:
        return 1.0


def three(a: str, b: str, c: str) -> float:
    return 0.0


def exact(answer: str) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (three, "needs a, b, c; allowed: answer, expected, prompt, messages"),
        (lambda: 0.5, "has no name"),
        (lambda answer: 0.5, "has no name"),
        (exact, "the name is that of a built-in one"),
        (Rule, "received a class"),
        (3, "expected names, functions or scorers of MLflow, received int"),
        ([4], "expected names, functions or scorers of MLflow, received int"),
        ([same, lambda_named("same", lambda answer: 1.0)], "two scorers have the name 'same'"),
        (["same=exact", same], "two scorers have the name 'same'"),
    ],
)
def test_what_cannot_score_is_refused_with_the_shape_that_can(given: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_scorers(given)


def test_an_object_that_can_be_called_is_named_after_its_class() -> None:
    (loaded,) = load_scorers(Rule())
    assert isinstance(loaded, Scorer)
    assert loaded.name == "Rule"
    with pytest.raises(UsageError, match="needs nothing"):
        load_scorers(partial(three, "x", "y", "z"))
