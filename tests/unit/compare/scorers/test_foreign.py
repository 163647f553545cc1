"""Scorers of Hugging Face evaluate and of MLflow, the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest

import llmops
from llmops.compare import metrics
from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scoring import Failure, Scores, score
from llmops.compare.scorers.text import token_f1
from llmops.errors import NotFoundError, UsageError
from llmops.records import Answer, Example

ROOT = Path(llmops.__file__).parents[1]
TEXTS = [("Return the name.", "Return a name."), ("Open it", "Open it."), ("", "x")]
EXAMPLES = [
    Example(f"q{i}", ({"role": "user", "content": f"ask {i}"},), wanted, f"q{i}")
    for i, (_, wanted) in enumerate(TEXTS)
]
ANSWERS = [Answer(text, 1, 1, "stop") for text, _ in TEXTS]

MODULE = '''
import datasets
import evaluate


class Own(evaluate.Metric):
    """Counts of words."""

    def _info(self):
        texts = {{"predictions": datasets.Value("string"), "{second}": datasets.Value("string")}}
        return evaluate.MetricInfo(
            description="d", citation="c", inputs_description="i", features=datasets.Features(texts)
        )

    def _compute(self, predictions, {second}):
        words = [len(p.split()) for p in predictions]
        return {{"words": sum(words), "share": min(words) / 3, "each": words, "error": sum(words)}}
'''

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


def scored(spec: str, folder: Path = Path()) -> Scores:
    return score(EXAMPLES, ANSWERS, load_scorers([f"it={spec}"], folder=folder))


@pytest.fixture
def own_module(tmp_path: Path) -> Path:
    for name, second in (("own", "references"), ("odd", "sources")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(MODULE.format(second=second))
    return tmp_path


@pytest.fixture
def own_scorers(tmp_path: Path) -> Path:
    (tmp_path / "judges.py").write_text(SCORERS)
    return tmp_path


def test_an_evaluate_module_scores_example_by_example() -> None:
    path = metrics.path("token_f1")
    found = scored(f"evaluate:{path}").values["it"]
    assert found == pytest.approx([token_f1(answer, wanted) for answer, wanted in TEXTS])
    assert scored(f"evaluate:{path}:token_f1").values["it"] == found
    assert scored(f"evaluate:{path}/token_f1.py").values["it"] == found
    assert fmean(scored(f"evaluate:{path}:1-token_f1").values["it"]) == pytest.approx(
        1 - fmean(found)
    )


def test_an_evaluate_module_says_what_it_reads(own_module: Path) -> None:
    one_line, own = load_scorers(
        [f"evaluate:{metrics.path('one_line')}", "evaluate:own:share"], folder=own_module
    )
    assert (one_line.needs_expected, own.needs_expected) == (False, True)
    assert score(EXAMPLES, ANSWERS, [one_line]).values[one_line.name] == (1.0, 0.0, 0.0)
    with pytest.raises(UsageError, match="it reads predictions, sources"):
        scored("evaluate:odd", own_module)


def test_the_entry_that_counts_is_named(own_module: Path) -> None:
    assert scored("evaluate:own:share", own_module).values["it"] == pytest.approx((1, 2 / 3, 0))
    assert scored("evaluate:own:1-error", own_module).values["it"] == (0.0, 0.0, 1.0)
    for spec in ("evaluate:own", "evaluate:own:each"):
        with pytest.raises(UsageError, match="it returns words, share, error; add :KEY"):
            load_scorers([spec], folder=own_module, code=True)  # before anything is generated
    with pytest.raises(UsageError, match=r"example 'q0': received 3\.0, expected a number in"):
        scored("evaluate:own:words", own_module)


def test_no_evaluate_module(own_module: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no evaluate module at './none'"):
        scored("evaluate:./none", own_module)
    (own_module / "own" / "own.py").write_text("import nowhere_to_be_found")
    with pytest.raises(UsageError, match=r"cannot be loaded: .*nowhere_to_be_found"):
        scored("evaluate:own:share", own_module)


# A process of its own: evaluate reads its environment when it is imported.
OFFLINE = """
import socket, sys

def refuse(*_, **__):
    raise AssertionError("a connection was tried")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from llmops.compare import metrics
from llmops.compare.scorers.load import load_scorers
from llmops.errors import NotFoundError

load_scorers([f"evaluate:{metrics.path('chrf')}"])
try:
    load_scorers(["evaluate:no_such_metric"])
except NotFoundError as error:
    print(error)
"""


def test_evaluate_modules_load_without_a_network(tmp_path: Path) -> None:
    offline = {"HF_EVALUATE_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        env={**os.environ, **offline},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "no evaluate module at 'no_such_metric'" in done.stdout


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("same", (0.0, 1.0, 0.0)),
        ("asked", (0.5, 0.5, 0.5)),
        ("rated", (1.0, 0.0, 0.0)),
    ],
)
def test_mlflow_scorers(own_scorers: Path, name: str, values: tuple[float, ...]) -> None:
    found = scored(f"mlflow:judges.py:{name}", own_scorers)
    assert found.values["it"] == values
    assert found.failures == ()


@pytest.mark.parametrize(("name", "reason"), [("absent", "is away"), ("nothing", "NaN")])
def test_an_mlflow_scorer_that_gives_no_judgement(
    own_scorers: Path, name: str, reason: str
) -> None:
    found = scored(f"mlflow:judges.py:{name}", own_scorers)
    assert found.values["it"] == (0.5, 0.5, 0.0)
    assert found.failures == (Failure("it", "q2", reason),)


def test_a_rating_that_is_neither_yes_nor_no_is_no_judgement(own_scorers: Path) -> None:
    found = scored("mlflow:judges.py:word", own_scorers)
    assert found.values["it"] == (0.0, 0.0, 0.0)
    assert found.failures[0].reason == "it said 'perhaps'; a rating is yes or no"


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
        scored(f"mlflow:judges.py:{name}", own_scorers)


def test_an_mlflow_scorer_says_whether_it_needs_what_is_expected(own_scorers: Path) -> None:
    same, rated = load_scorers(
        ["mlflow:judges.py:same", "mlflow:judges.py:rated"], folder=own_scorers
    )
    assert (same.name, same.needs_expected) == ("mlflow_same", True)
    assert (rated.name, rated.needs_expected) == ("mlflow_rated", False)
    assert same.digest != rated.digest


def test_a_module_is_imported_by_name(own_scorers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(own_scorers)
    assert scored("mlflow:judges:rated").values["it"] == (1.0, 0.0, 0.0)
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
        scored(spec, tmp_path)
