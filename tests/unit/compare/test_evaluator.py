"""A comparison in the words of mlflow.models.evaluate: what it takes and what it gives."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from report_records import comparison
from trained import HELD_OUT

from llmops.compare.evaluator import evaluate, metrics
from llmops.errors import UsageError
from llmops.records import ModelVersion

DATA = SimpleNamespace(
    features_data=pd.DataFrame({"id": [f"q{i}" for i in range(len(HELD_OUT))], "prompt": HELD_OUT}),
    labels_data=["Return it."] * len(HELD_OUT),
    name="held out",
)
UNLOGGED = SimpleNamespace(metadata=SimpleNamespace(model_id=None))
OPTIONS = {"baseline": "tiny", "max_tokens": 4, "method": "fixed", "traces": False}


def test_a_logged_model_is_compared_on_the_dataset_and_its_targets(version: ModelVersion) -> None:
    model = SimpleNamespace(metadata=SimpleNamespace(model_id=version.model_id))
    found = evaluate(model, DATA, {**OPTIONS, "scorers": ["token_f1"]})
    assert found.candidate.digest == version.digest
    assert found.baseline.uri == "models:/tiny/1"
    assert [row.example.expected for row in found.rows] == DATA.labels_data
    assert [result.metric for result in found.metrics] == ["token_f1"]
    assert found.method == "fixed"
    assert found.suite_name == "held out"


def test_the_candidate_and_the_suite_can_be_named(version: ModelVersion) -> None:
    config = {**OPTIONS, "scorers": ["regex:a"], "candidate": version.uri, "name": "mine"}
    found = evaluate(UNLOGGED, SimpleNamespace(**{**vars(DATA), "labels_data": None}), config)
    assert (found.candidate.uri, found.suite_name) == (version.uri, "mine")


def test_a_model_without_a_logged_model_is_refused() -> None:
    for model in (UNLOGGED, object()):
        with pytest.raises(
            UsageError, match="the model was not logged, so the candidate is unknown"
        ):
            evaluate(model, DATA, OPTIONS)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown margin, suite; allowed: baseline, candidate"):
        evaluate(UNLOGGED, DATA, {**OPTIONS, "suite": "x", "margin": 0.1})


def test_every_scorer_gives_its_mean_and_its_paired_test() -> None:
    found = metrics(comparison())
    assert len(found) == 4 * 5
    assert found["token_f1"] == pytest.approx(0.708)
    assert (found["lo/token_f1"], found["hi/token_f1"]) == (0.062, 0.354)
    assert (found["delta/token_f1"], found["p/token_f1"]) == (0.208, 0.011)
