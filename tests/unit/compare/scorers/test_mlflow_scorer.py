"""Scorers of MLflow, the real ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from scorer_records import scored_texts

import llmops
from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scoring import Failure
from llmops.errors import NotFoundError, UsageError

ROOT = Path(llmops.__file__).parents[1]


SCORERS = """
from mlflow.entities import AssessmentError, Feedback
from mlflow.genai import scorer


@scorer
def same(outputs, expectations):
    return outputs.strip(".") == expectations["expected_response"].strip(".")


@scorer
def asked(inputs, outputs):
    return len(inputs["messages"][-1]["content"]) / 10


@scorer
def rated(outputs):
    return Feedback(value="yes" if outputs.startswith("Return") else "no", rationale="because")


@scorer
def absent(outputs):
    return Feedback(value=0.5) if outputs else Feedback(error=AssessmentError("JUDGE", "is away"))


@scorer
def nothing(outputs):
    return 0.5 if outputs else None


@scorer
def word(outputs):
    return "perhaps"


@scorer
def many(outputs):
    return [Feedback(value=1.0)]


@scorer
def percent(outputs):
    return 50


@scorer
def broken(outputs):
    raise RuntimeError("the judge fell over")


@scorer
def traced(trace):
    return 1.0


def plain(outputs):
    return 1.0
"""


@pytest.fixture
def own_scorers(tmp_path: Path) -> Path:
    (tmp_path / "judges.py").write_text(SCORERS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("same", (0.0, 1.0, 0.0)),
        ("asked", (0.4, 0.4, 0.4)),
        ("rated", (1.0, 0.0, 0.0)),
    ],
)
def test_mlflow_scorers(own_scorers: Path, name: str, values: tuple[float, ...]) -> None:
    found = scored_texts(f"mlflow:judges.py:{name}", own_scorers)
    assert found.values["it"] == values
    assert found.failures == ()


@pytest.mark.parametrize(("name", "reason"), [("absent", "is away"), ("nothing", "NaN")])
def test_an_mlflow_scorer_that_gives_no_judgement(
    own_scorers: Path, name: str, reason: str
) -> None:
    found = scored_texts(f"mlflow:judges.py:{name}", own_scorers)
    assert found.values["it"] == (0.5, 0.5, 0.0)
    assert found.failures == (Failure("it", "q2", reason),)


def test_a_rating_that_is_neither_yes_nor_no_is_no_judgement(own_scorers: Path) -> None:
    found = scored_texts("mlflow:judges.py:word", own_scorers)
    assert found.values["it"] == (0.0, 0.0, 0.0)
    assert found.failures[0].reason == "expected yes or no, received 'perhaps'"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("percent", UsageError, "example 'q0': received 50.0, expected a number in"),
        ("broken", UsageError, "example 'q0': raised RuntimeError: the judge fell over"),
        ("many", UsageError, "example 'q0': raised TypeError"),
        ("traced", UsageError, "needs 'trace'"),
        ("plain", UsageError, "expected a scorer of MLflow, received function"),
        ("none", NotFoundError, "judges.py has no 'none'"),
    ],
)
def test_mlflow_scorers_that_cannot_be_used(
    own_scorers: Path, name: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        scored_texts(f"mlflow:judges.py:{name}", own_scorers)


def test_an_mlflow_scorer_says_whether_it_needs_what_is_expected(own_scorers: Path) -> None:
    same, rated = load_scorers(
        ["mlflow:judges.py:same", "mlflow:judges.py:rated"], folder=own_scorers
    )
    assert (same.name, same.needs_expected) == ("mlflow_same", True)
    assert (rated.name, rated.needs_expected) == ("mlflow_rated", False)
    assert same.digest != rated.digest


def test_a_module_is_imported_by_name(own_scorers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(own_scorers)
    assert scored_texts("mlflow:judges:rated").values["it"] == (1.0, 0.0, 0.0)
    sys.modules.pop("judges")


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ("mlflow:no_such_module:f", NotFoundError, "no module 'no_such_module'"),
        ("mlflow:none.py:f", NotFoundError, "none.py: no such file"),
        ("mlflow:judges", UsageError, "expected mlflow:MODULE:FUNCTION"),
        ("mlflow:faulty.py:f", UsageError, "importing faulty.py raised ZeroDivisionError"),
        ("mlflow:needy.py:f", UsageError, "needy.py imports nowhere_to_be_found"),
    ],
)
def test_no_mlflow_module(tmp_path: Path, spec: str, error: type[Exception], says: str) -> None:
    (tmp_path / "faulty.py").write_text("1 / 0")
    (tmp_path / "needy.py").write_text("import nowhere_to_be_found")
    with pytest.raises(error, match=says):
        scored_texts(spec, tmp_path)
