"""Scoring of whole blocks, and the scorers that take an argument."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scoring import (
    Failure,
    Scorer,
    Scores,
    Unscored,
    require_expected,
    score,
)
from llmops.errors import DataError, NotFoundError, UsageError
from llmops.records import Answer, Example


def examples(*expected: str | None) -> list[Example]:
    ask = ({"role": "user", "content": "Say it."},)
    return [Example(f"q{i}", ask, text, f"q{i}") for i, text in enumerate(expected)]


def answers(*texts: str) -> list[Answer]:
    return [Answer(text, 1, 1, "stop") for text in texts]


def scored(spec: str, *pairs: tuple[str, str | None], folder: Path = Path()) -> Sequence[float]:
    """Scores of (answer, expected) pairs by one scorer."""
    (scorer,) = load_scorers([f"it={spec}"], folder=folder)
    texts, wanted = zip(*pairs, strict=True)
    return score(examples(*wanted), answers(*texts), [scorer]).values["it"]


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
        "exact, f, likelihood: an expected answer is needed, and 4 of 5 examples have none:"
        " 'q1', 'q2', 'q3', …\n"
    )


def test_regex_searches() -> None:
    assert scored("regex:[0-9]{4}", ("in 1999.", None), ("in 99", None)) == (1.0, 0.0)
    assert scored("regex:^yes$", ("yes", None), ("yes!", None), ("", None)) == (1.0, 0.0, 0.0)
    with pytest.raises(UsageError, match="not a regular expression: unterminated"):
        load_scorers(["regex:["])


def test_extract_compares_the_last_find() -> None:
    assert scored(
        "extract:#### *(-?[0-9,]+)",
        ("3 + 4 = 7\n#### 7", "3 and 4\n#### 7"),
        ("#### 6, no: #### 7", "#### 7"),
        ("#### 7", "7"),  # the expected answer may be the bare result
        ("#### 7, no: #### 6", "#### 7"),
        ("7", "#### 7"),  # not found in the answer
        ("", "#### 7"),
        ("#### 1,000", "#### 1000"),  # written differently: say so in the pattern
    ) == (1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    for pattern in ("7", "(a)(b)", "(?:a)"):
        with pytest.raises(UsageError, match="needs one group"):
            load_scorers([f"extract:{pattern}"])


def test_extract_never_matches_nothing_with_nothing() -> None:
    assert scored("extract:answer: *([a-z]*)", ("answer: ", "answer: "), ("x", "")) == (0.0, 0.0)


SCHEMA = {
    "type": "object",
    "required": ["total"],
    "properties": {"total": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}


def test_json_schema(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(json.dumps(SCHEMA))
    assert scored(
        "json_schema:order.json",
        (' {"total": 3}\n', None),
        ('{"total": -1}', None),
        ('{"total": 3, "more": 1}', None),
        ('```json\n{"total": 3}\n```', None),
        ("", None),
        ('{"total": NaN}', None),
        ("[" * 100_000, None),
        folder=tmp_path,
    ) == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "not JSON"), ('{"type": "objekt"}', "no JSON schema: at type"), ("3", "no JSON schema")],
)
def test_no_json_schema(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(DataError, match=says):
        load_scorers(["json_schema:s.json"], folder=tmp_path)
    with pytest.raises(NotFoundError, match="no such file"):
        load_scorers(["json_schema:none.json"], folder=tmp_path)


def test_a_schema_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    (tmp_path / "s.json").write_text('{"$ref": "http://example.invalid/s.json"}')
    with pytest.raises(UsageError, match=r"raised \w+: Unresolvable"):
        scored("json_schema:s.json", ("{}", None), folder=tmp_path)


def test_a_digest_is_of_what_a_scorer_does(tmp_path: Path) -> None:
    def digest(spec: str) -> str:
        return load_scorers([spec], folder=tmp_path)[0].digest

    assert digest("exact") == digest("strict=exact") != digest("token_f1")
    assert digest("regex:a") == digest("x=regex:a") != digest("regex:b")
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    before = digest("json_schema:s.json")
    (tmp_path / "t.json").write_text(json.dumps(SCHEMA))
    assert digest("json_schema:t.json") == before
    (tmp_path / "s.json").write_text("{}")
    assert digest("json_schema:s.json") != before
