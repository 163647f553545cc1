"""Scorers by name, and what a new one needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scorer_records import scored

import llmops
from llmops.compare.scorers.load import implementation, load_scorers
from llmops.errors import UsageError
from llmops.recipe.built_in_scorers import BUILT_IN, BuiltIn, Cost

ROOT = Path(llmops.__file__).parents[1]
PLAIN = [scorer for scorer in BUILT_IN if not scorer.argument]
OF_TEXTS = [scorer for scorer in BUILT_IN if scorer.is_of_texts]
ANSWERS = ["Return the name.", "return", "", "{}", "[1, 2]", "Two\nlines.", '"Return the name."']

NEW_FILE = '''\
"""Whether an answer is loud."""


def score(prediction: str) -> float:
    """Return 1 if there is no lower-case letter, else 0."""
    return float(prediction == prediction.upper())
'''
NEW_LINE = (
    'BuiltIn("loud", "1 if the answer is all capitals, else 0", "LOUD", Expected.UNUSED, (0, 1)),'
)

# A process of its own, in which the copied package is the only llmops.
SEE = """
import json, sys
import evaluate
from click.testing import CliRunner

import llmops
from llmops.cli.main import cli
from llmops.compare import metrics
from llmops.compare.scorers.load import load_scorers
from llmops.errors import UsageError
from llmops.recipe.schema import Compare
from llmops.records import Example
from llmops.report.wording import metric_name

(scorer,) = load_scorers(["loud"])
example = Example("q", ({"role": "user", "content": "Say."},), None, "q")
found = {"package": llmops.__file__, "needs expected": scorer.needs_expected}
found["scores"] = [scorer.judge(example, text) for text in ("YES", "Yes")]
found["recipe"] = Compare(scorers=["loud", "exact"]).scorers
found["help"] = " ".join(CliRunner().invoke(cli, ["compare", "--help"]).output.split())
found["title"] = metric_name("loud")
found["evaluate"] = evaluate.load(metrics.path("loud")).compute(predictions=["YES", "Yes"])
try:
    load_scorers(["bleu"])
except UsageError as error:
    found["error"] = error.message
sys.path.append(sys.argv[1])
from generator import REFERENCE, scorers
found["docs"] = scorers.page((REFERENCE / "metrics.md").read_text(encoding="utf-8"))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def with_a_new_scorer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program says after one file and one line were added to a copy of the package."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(
        ROOT / "llmops", folder / "llmops", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "llmops/compare/scorers/loud.py").write_text(NEW_FILE)
    table = folder / "llmops/recipe/built_in_scorers.py"
    begin, found, rest = table.read_text(encoding="utf-8").partition("BUILT_IN = (\n")
    table.write_text(f"{begin}{found}    {NEW_LINE}\n{rest}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SEE, str(ROOT / "docs")],
        env={**os.environ, "PYTHONPATH": str(folder), "HF_EVALUATE_OFFLINE": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert Path(seen["package"]).is_relative_to(folder)
    return seen


def test_a_new_scorer_is_one_file_and_one_line(with_a_new_scorer: dict[str, Any]) -> None:
    seen = with_a_new_scorer
    assert seen["scores"] == [1.0, 0.0]
    assert seen["needs expected"] is False
    assert seen["recipe"] == ["loud", "exact"]
    assert "One of: loud, exact, " in seen["help"]
    assert seen["title"] == "LOUD"
    assert seen["evaluate"] == {"loud": 0.5}
    assert "unknown; allowed: loud, exact, " in seen["error"]
    row = "| `loud` | 1 if the answer is all capitals, else 0 | not read | 0 or 1 | none |"
    assert row in seen["docs"]


@pytest.mark.parametrize("scorer", BUILT_IN, ids=lambda scorer: scorer.name)
def test_every_entry_has_a_file_that_keeps_the_agreement(scorer: BuiltIn) -> None:
    found = implementation(scorer.name)
    assert hasattr(found, "score") == scorer.is_of_texts
    assert hasattr(found, "load") != scorer.is_of_texts
    assert (found.__doc__ or "").startswith(f"``{scorer.name}") or scorer.cost is Cost.CODE


def test_every_file_of_a_scorer_has_an_entry() -> None:
    folder = Path(llmops.__file__).parent / "compare" / "scorers"
    files = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if "\ndef score(prediction" in (text := path.read_text(encoding="utf-8"))
        or "\ndef load(name" in text
    }
    assert files == {scorer.module or scorer.name for scorer in BUILT_IN}


@pytest.mark.parametrize("scorer", PLAIN, ids=lambda scorer: scorer.name)
def test_a_plain_scorer_is_loaded_as_its_entry_says(scorer: BuiltIn) -> None:
    (loaded,) = load_scorers([scorer.name], code=False)
    assert (loaded.name, loaded.spec) == (scorer.name, scorer.name)
    assert loaded.needs_expected == scorer.needs_expected
    assert loaded.is_likelihood == (scorer.cost is Cost.FORWARD)


@pytest.mark.parametrize("scorer", OF_TEXTS, ids=lambda scorer: scorer.name)
def test_the_best_and_the_worst_answer(scorer: BuiltIn) -> None:
    sentence = '"Return the name."'  # JSON too, for json_fields
    assert scored(scorer.name, (sentence, sentence), ("", sentence)) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("spec", "entry"),
    [(s.name, s) for s in OF_TEXTS]
    + [(f"{s.name}:(return)", s) for s in BUILT_IN if s.argument == "PATTERN"],
)
def test_scores_are_those_that_the_entry_allows(spec: str, entry: BuiltIn) -> None:
    wanted = ["{}", "[1]", '"Return the name."', "3"]
    found = set(scored(spec, *((answer, text) for answer in ANSWERS for text in wanted)))
    assert min(found) >= 0
    assert max(found) <= 1
    if entry.values:
        assert found <= set(entry.values)
    else:
        assert found - {0.0, 1.0}, "it is no yes or no"


def test_no_such_scorer() -> None:
    with pytest.raises(UsageError, match="unknown; allowed: exact, token_f1"):
        load_scorers(["bleu"])
    with pytest.raises(UsageError, match="a recipe executes no code"):
        load_scorers(["evaluate:f1"], code=False)
    with pytest.raises(KeyError, match="bleu"):
        implementation("bleu")


def test_scorers_are_light() -> None:
    script = (
        "import sys; from scorer_records import scored; scored('token_f1', ('a', 'a'));"
        "from llmops.compare.scorers.load import load_scorers;"
        "load_scorers(['exact', 'rouge_l', 'chrf', 'regex:x']);"
        "heavy = {'evaluate', 'torch', 'transformers', 'rouge_score', 'nltk', 'sacrebleu', 'jsonschema'};"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'helpers'}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "set()\n", done.stderr
