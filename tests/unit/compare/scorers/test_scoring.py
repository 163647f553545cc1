"""Scoring of whole blocks."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from scorer_records import answers, examples

from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scorer import Scorer, Unscored
from llmops.compare.scorers.scoring import Failure, Scores, require_expected, score
from llmops.errors import DataError, UsageError
from llmops.records import Example


def own(value: object, *, needs_expected: bool = False) -> Scorer:
    """A scorer that returns a value, or raises it."""

    def judge(_: Example, answer: str) -> float:
        if answer == "odd":
            if isinstance(value, BaseException):
                raise value
            return value  # type: ignore[return-value]
        return 1.0

    return Scorer("own", "mlflow:my:own", needs_expected, "", judge)


def test_every_scorer_of_a_block() -> None:
    scorers = load_scorers(["exact", "short=regex:^.{1,3}$", "one_line", "likelihood"])
    found = score(
        examples("Yes", "No."),
        answers("yes.", "It is not so."),
        scorers,
        likelihoods=[(math.log(0.25), 1), (2 * math.log(0.5), 2)],
    )
    assert list(found.values) == ["exact", "short", "one_line", "likelihood"]
    assert found.values["exact"] == (1.0, 0.0)
    assert found.values["short"] == (0.0, 0.0)
    assert found.values["one_line"] == (1.0, 1.0)
    assert found.values["likelihood"] == pytest.approx((0.25, 0.5))
    assert found.failures == ()


def test_no_examples_no_scores() -> None:
    assert score([], [], load_scorers(["exact"])) == Scores({"exact": ()}, ())


@pytest.mark.parametrize(
    ("value", "reason"), [(math.nan, "NaN"), (Unscored("the judge is away"), "the judge is away")]
)
def test_no_judgement_is_the_worst_score_and_is_counted(value: object, reason: str) -> None:
    found = score(examples(None, None, None), answers("a", "odd", "b"), [own(value)])
    assert found.values["own"] == (1.0, 0.0, 1.0)
    assert found.failures == (Failure("own", "q1", reason),)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (1.5, "received 1.5, expected a number in [0, 1]"),
        (-0.1, "received -0.1"),
        (math.inf, "received inf"),
        ("0.5", "received '0.5'"),
        (None, "received None"),
        (KeyError("gone"), "raised KeyError: 'gone'"),
        (SystemExit(0), "raised SystemExit: 0"),
    ],
)
def test_a_scorer_that_is_wrong_is_told_with_the_example(value: object, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        score(examples(None, None), answers("a", "odd"), [own(value)])
    assert str(caught.value).startswith("scorer 'own': example 'q1': ")
    assert says in str(caught.value)


def test_what_a_scorer_prints_does_not_get_into_the_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def talkative(example: Example, answer: str) -> float:
        print("judging", answer)
        return 1.0

    scorer = replace(own(1.0), judge=talkative)
    assert score(examples(None), answers("a"), [scorer]).values["own"] == (1.0,)
    assert capsys.readouterr() == ("", "judging a\n")


def test_rounding_is_no_mistake() -> None:
    for value, expected in ((1 + 1e-15, 1.0), (-1e-15, 0.0), (True, 1.0)):
        found = score(examples(None), answers("odd"), [own(value)])
        assert found.values["own"] == (expected,)


def test_what_does_not_line_up_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        score(examples("a", "b"), answers("a"), load_scorers(["exact"]))
    with pytest.raises(ValueError, match="likelihood"):
        score(examples("a"), answers("a"), load_scorers(["likelihood"]))
    with pytest.raises(ValueError, match="shorter"):
        score(examples("a", "b"), answers("a", "b"), load_scorers(["likelihood"]), [(-1.0, 1)])


def test_a_likelihood_that_is_none_is_told() -> None:
    with pytest.raises(UsageError, match=r"scorer 'likelihood': example 'q0': .*nan over 3 tokens"):
        score(examples("a"), answers("a"), load_scorers(["likelihood"]), [(math.nan, 3)])


def test_missing_expected_answers_are_told_before_anything_is_generated() -> None:
    suite = examples("a", None, None, None, None)
    require_expected(suite, load_scorers(["one_line", "regex:x"]))
    require_expected(examples("a"), load_scorers(["exact"]))
    with pytest.raises(DataError) as caught:
        require_expected(suite, load_scorers(["one_line", "exact", "f=extract:(x)", "likelihood"]))
    assert str(caught.value).startswith(
        "exact, f, likelihood: need an expected answer, which 4 of 5 examples lack:"
        " 'q1', 'q2', 'q3', …\n"
    )
