"""A judge by the name of its model."""

from __future__ import annotations

import pytest

from llmops.compare.scorers.judge.askers import load_judge
from llmops.compare.scorers.load import load_scorers
from llmops.errors import UsageError

SPEC = "openai:http://127.0.0.1:9/v1#umpire"


def test_a_judge_is_asked_about_pairs() -> None:
    (judge,) = load_scorers([f"judge:{SPEC}"])
    assert (judge.name, judge.needs_expected) == ("judge_umpire", False)
    assert judge.judge is None
    assert not judge.is_likelihood
    assert judge.asker is not None
    assert judge.asker.name == load_judge(SPEC).name


def test_a_judge_is_known_by_whom_it_asks() -> None:
    one, again, other = load_scorers(
        [f"a=judge:{SPEC}", f"b=judge:{SPEC}", f"c=judge:{SPEC}2"], code=False
    )
    assert one.digest == again.digest != other.digest


def test_no_judge() -> None:
    with pytest.raises(UsageError, match="openai"):
        load_scorers(["judge:openai:nowhere"])
