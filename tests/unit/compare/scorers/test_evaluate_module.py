"""Scorers of Hugging Face evaluate, the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest
from scorer_records import ANSWERS, EXAMPLES, TEXTS, scored_texts

import llmops
from llmops.compare import metrics
from llmops.compare.scorers.load import load_scorers
from llmops.compare.scorers.scoring import score
from llmops.compare.scorers.token_f1 import score as token_f1
from llmops.errors import NotFoundError, UsageError

ROOT = Path(llmops.__file__).parents[1]


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


@pytest.fixture
def own_module(tmp_path: Path) -> Path:
    for name, second in (("own", "references"), ("odd", "sources")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(MODULE.format(second=second))
    return tmp_path


def test_an_evaluate_module_scores_example_by_example() -> None:
    path = metrics.path("token_f1")
    found = scored_texts(f"evaluate:{path}").values["it"]
    assert found == pytest.approx([token_f1(answer, wanted) for answer, wanted in TEXTS])
    assert scored_texts(f"evaluate:{path}:token_f1").values["it"] == found
    assert scored_texts(f"evaluate:{path}/token_f1.py").values["it"] == found
    assert fmean(scored_texts(f"evaluate:{path}:1-token_f1").values["it"]) == pytest.approx(
        1 - fmean(found)
    )


def test_an_evaluate_module_says_what_it_reads(own_module: Path) -> None:
    one_line, own = load_scorers(
        [f"evaluate:{metrics.path('one_line')}", "evaluate:own:share"], folder=own_module
    )
    assert (one_line.needs_expected, own.needs_expected) == (False, True)
    assert score(EXAMPLES, ANSWERS, [one_line]).values[one_line.name] == (1.0, 0.0, 0.0)
    with pytest.raises(UsageError, match="the module reads predictions, sources"):
        scored_texts("evaluate:odd", own_module)


def test_the_entry_that_counts_is_named(own_module: Path) -> None:
    assert scored_texts("evaluate:own:share", own_module).values["it"] == pytest.approx(
        (1, 2 / 3, 0)
    )
    assert scored_texts("evaluate:own:1-error", own_module).values["it"] == (0.0, 0.0, 1.0)
    for spec in ("evaluate:own", "evaluate:own:each"):
        with pytest.raises(UsageError, match="it returns words, share, error; add :KEY"):
            load_scorers([spec], folder=own_module, code=True)  # before anything is generated
    with pytest.raises(UsageError, match=r"example 'q0': received 3\.0, expected a number in"):
        scored_texts("evaluate:own:words", own_module)


def test_no_evaluate_module(own_module: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no evaluate module './none'"):
        scored_texts("evaluate:./none", own_module)
    (own_module / "own" / "own.py").write_text("import nowhere_to_be_found")
    with pytest.raises(UsageError, match=r"cannot be loaded: .*nowhere_to_be_found"):
        scored_texts("evaluate:own:share", own_module)


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
    assert "no evaluate module 'no_such_metric'" in done.stdout
