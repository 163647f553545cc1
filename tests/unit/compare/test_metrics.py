from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from scorer_records import scored

import llmops
from llmops.compare import metrics
from llmops.errors import LlmopsError
from llmops.recipe.built_in_scorers import BUILT_IN

ROOT = Path(llmops.__file__).parents[1]
NAMES = [scorer.name for scorer in BUILT_IN if scorer.is_of_texts]
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
keys = ("description", "citation", "inputs_description", "reference_urls")
result["about"] = {name: {key: getattr(m, key) for key in keys} for name, m in loaded.items()}
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
    mean = fmean(scored(name, *zip(PREDICTIONS, REFERENCES, strict=True)))
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


def test_a_metric_says_what_it_is_and_where_it_comes_from(result: dict[str, Any]) -> None:
    about = result["about"]["one_line"]
    assert about["description"].startswith("Mean over the examples of one_line: form, not content")
    assert about["citation"].strip().startswith("@misc{pep257,")
    assert about["reference_urls"] == ["https://peps.python.org/pep-0257/"]
    assert "references" not in about["inputs_description"]
    assert "references" in result["about"]["exact"]["inputs_description"]


def test_scorers_that_take_more_than_texts_are_no_metrics() -> None:
    for name in ("bleu", "likelihood", "regex", "judge"):
        with pytest.raises(KeyError, match=name):
            metrics.path(name)


def test_a_module_lies_in_the_home_and_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_HOME", str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(metrics.path, ["chrf"] * 40)) == {str(tmp_path / "metrics" / "chrf")}
    (file,) = (tmp_path / "metrics" / "chrf").iterdir()
    text = file.read_text()
    assert file.name == "chrf.py"
    assert str(tmp_path) not in text, "the same on every machine"
    file.write_text("# of another version")
    metrics.path("chrf")
    assert file.read_text() == text
    before = file.stat().st_mtime_ns
    metrics.path("chrf")
    assert file.stat().st_mtime_ns == before, "a module that is there is only read"


def test_a_home_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("LLMOPS_HOME", str(tmp_path / "home"))
    with pytest.raises(LlmopsError, match=r"LLMOPS_HOME: cannot create "):
        metrics.path("chrf")
