from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import llmops
from llmops.compare import metrics
from llmops.compare.scorers.text import TEXT_SCORERS

ROOT = Path(llmops.__file__).parents[1]
NAMES = sorted(TEXT_SCORERS)
# JSON texts, so that json_fields can read the references; to the others they are quoted sentences.
PREDICTIONS = ['"Return the name."', '"Return a name\nof it"', ""]
REFERENCES = ['"Return the name."', '"Return the name."', '"Open it."']

# A process of its own: evaluate reads its environment when it is imported, and a stray
# connection must be impossible, not merely unlikely.
SCRIPT = """
import json, socket, sys

def refuse(*_, **__):
    raise AssertionError("a connection was tried")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import evaluate
from llmops.compare import metrics

names, predictions, references = json.loads(sys.argv[1])
texts = {"predictions": predictions, "references": references}
loaded = {name: evaluate.load(metrics.path(name)) for name in names}
result = {"alone": {name: metric.compute(**texts) for name, metric in loaded.items()}}
result["named"] = {name: metric.name for name, metric in loaded.items()}
result["cited"] = {name: bool(m.citation and m.description) for name, m in loaded.items()}
for name, metric in loaded.items():
    for prediction, reference in zip(predictions, references):
        metric.add(prediction=prediction, reference=reference)
result["added"] = {name: metric.compute() for name, metric in loaded.items()}
result["combined"] = evaluate.combine([metrics.path(name) for name in names]).compute(**texts)
result["without references"] = loaded["one_line"].compute(predictions=predictions)
try:
    loaded["token_f1"].compute(predictions=[], references=[])
except ValueError as error:
    result["empty"] = str(error)
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("evaluate")
    offline = {"HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1", "HF_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([NAMES, PREDICTIONS, REFERENCES])],
        env={**os.environ, **offline, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_loads_offline_and_is_the_mean_of_its_scorer(
    result: dict[str, Any], name: str
) -> None:
    mean = fmean(map(TEXT_SCORERS[name], PREDICTIONS, REFERENCES))
    assert 0 < mean < 1
    assert result["alone"][name] == {name: pytest.approx(mean)}
    assert result["added"][name] == result["alone"][name]
    assert result["named"][name] == name
    assert result["cited"][name]


def test_metrics_can_be_combined(result: dict[str, Any]) -> None:
    assert result["combined"] == {name: result["alone"][name][name] for name in NAMES}


def test_one_line_needs_no_references(result: dict[str, Any]) -> None:
    assert result["without references"] == result["alone"]["one_line"]


def test_the_mean_of_nothing_is_refused(result: dict[str, Any]) -> None:
    assert "at least one data point" in result["empty"]


def test_every_text_scorer_is_a_metric_and_the_other_way_round() -> None:
    folder = Path(metrics.__file__).parent
    found = {path.stem for path in folder.glob("*/*.py") if path.stem == path.parent.name}
    assert found == set(NAMES)
    with pytest.raises(KeyError, match="bleu"):
        metrics.path("bleu")
