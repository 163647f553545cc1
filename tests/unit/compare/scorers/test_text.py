from __future__ import annotations

import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

import llmops
from llmops.compare.scorers.json_answers import json_fields
from llmops.compare.scorers.text import (
    TEXT_SCORERS,
    WITHOUT_REFERENCE,
    chrf,
    exact,
    likelihood,
    one_line,
    rouge_l,
    token_f1,
)
from llmops.recipe import schema, scorer_names

ROOT = Path(llmops.__file__).parents[1]


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("Return the name.", "return THE name", 1.0),
        ("Return a name", "Return the name", 2 / 3),  # 2 shared of 3 and 3; articles count
        ("name", "Return the name", 2 * 1 * (1 / 3) / (1 + 1 / 3)),
        ("the the the", "the cat", 2 / 5),  # a word counts as often as both have it
        ("nothing shared", "Return it", 0.0),
        ("", "", 1.0),
        ("...", "", 1.0),  # no words on either side
        ("", "Return", 0.0),
        ("Return", "  \n", 0.0),
        ("snake_case", "snake case", 1.0),
        ("Größe 3", "größe 3", 1.0),  # words of other scripts are words
        ("名前", "名前", 1.0),
        ("x2", "x 2", 0.0),
    ],
)
def test_token_f1(prediction: str, reference: str, score: float) -> None:
    assert token_f1(prediction, reference) == pytest.approx(score)
    assert token_f1(reference, prediction) == pytest.approx(score)


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("police kill the gunman", "police killed the gunman", 3 / 4),  # Lin 2004, section 3.1
        ("the gunman kill police", "police killed the gunman", 2 / 4),
        ("the gunman police killed", "police killed the gunman", 2 / 4),
        ("a b", "a x y b", 2 * 1 * 0.5 / 1.5),
        ("running", "run", 0.0),  # not stemmed
        ("Same, WORDS!", "same words", 1.0),
        ("größe", "größe", 1.0),
        ("", "a", 0.0),
        ("", "", 0.0),
    ],
)
def test_rouge_l(prediction: str, reference: str, score: float) -> None:
    assert rouge_l(prediction, reference) == pytest.approx(score)


def test_rouge_l_of_ascii_text_is_that_of_the_package() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    package = RougeScorer(["rougeL"], use_stemmer=False)
    texts = [
        "Return the last access time of a file, as given by os.stat().",
        "Returns a file's access_time!  See os.stat()",
        'Split 2 paths\tinto (head, tail) -- "tail" may be empty',
        "x__y  3.5 x_y",
    ]
    for prediction in texts:
        for reference in texts:
            expected = package.score(reference, prediction)["rougeL"].fmeasure
            assert rouge_l(prediction, reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "answer",
    [
        "Return the name.",
        "  Return the name!\n\n",
        "Why?",
        'Return "the name."',
        "Return the name (or None.)",
        "Return \u201cthe name.\u201d",
        "x" * 119 + ".",
    ],
)
def test_one_line(answer: str) -> None:
    assert one_line(answer) == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n ",
        "Return the name",
        "Return the name.\nIt is a str.",
        "Return the name.\r\rIt is a str.",
        'Return the name...)"',  # one closing mark, not a row of them
        "```Return the name.",
        "Return `x`",
        "x" * 120 + ".",
        "Return the name:",
        "Return the name. ;",
    ],
)
def test_not_one_line(answer: str) -> None:
    assert one_line(answer) == 0.0


def test_likelihood_is_the_geometric_mean() -> None:
    total = math.log(0.5) + math.log(0.25) + math.log(0.5)
    assert likelihood(total, 3) == pytest.approx((0.5 * 0.25 * 0.5) ** (1 / 3))
    assert likelihood(0.0, 7) == 1.0
    assert likelihood(-math.inf, 2) == 0.0
    assert likelihood(-1e9, 2) == 0.0


@pytest.mark.parametrize(("total", "tokens"), [(-1.0, 0), (-1.0, -1), (0.1, 3), (math.nan, 3)])
def test_no_likelihood(total: float, tokens: int) -> None:
    with pytest.raises(ValueError, match="no log-probability"):
        likelihood(total, tokens)


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("Paris", "Paris", 1.0),
        ("  paris.\n", "Paris", 1.0),
        ("New\n York", "new york", 1.0),
        ("STRASSE", "straße", 1.0),  # case folding, not lower-casing
        ("\uff11\uff18", "18", 1.0),  # full-width digits
        ("-5", "5", 0.0),  # signs and points are content
        ("3.5", "35", 0.0),
        ("the cat", "cat", 0.0),
        ("18..", "18", 0.0),  # one full stop, no more
        ("", "", 1.0),
        ("", "x", 0.0),
    ],
)
def test_exact(prediction: str, reference: str, score: float) -> None:
    assert exact(prediction, reference) == score
    assert exact(reference, prediction) == score


def test_chrf_is_that_of_sacrebleu() -> None:
    from sacrebleu.metrics import CHRF

    package, draw = CHRF(), random.Random(5)
    words = ["Return", "the", "name", "größe", "名前", "a", "os.stat()", "-", "x"]
    for _ in range(300):
        texts = [" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(2)]
        expected = package.sentence_score(texts[0], [texts[1]]).score / 100
        assert chrf(*texts) == pytest.approx(expected, abs=1e-12), texts


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [("", "", 1.0), (" ", "a", 0.0), ("a", "", 0.0), ("abc", "xyz", 0.0), ("a b", "ab", 1.0)],
)
def test_chrf_of_little_text(prediction: str, reference: str, score: float) -> None:
    assert chrf(prediction, reference) == pytest.approx(score)


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ('{"a": 1, "b": "x"}', '{"b": "x", "a": 1.0}', 1.0),
        ('{"a": 1}', '{"a": 1, "b": "x"}', 2 / 3),  # missing
        ('{"a": 1, "b": "x", "c": null}', '{"a": 1, "b": "x"}', 4 / 5),  # superfluous
        ('{"a": true}', '{"a": 1}', 0.0),
        ('{"a": false}', '{"a": false}', 1.0),
        ('{"a": "1"}', '{"a": 1}', 0.0),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', 0.0),  # positions count
        ('{"a": {"b": [1, {}]}}', '{"a": {"b": [1, {}]}}', 1.0),
        ('{"a": []}', '{"a": {}}', 0.0),
        ('{"a.b": 1}', '{"a": {"b": 1}}', 0.0),
        ('{"0": 1}', "[1]", 0.0),
        ("18", "18.0", 1.0),
        ('```json\n{"a": 1}\n```', '{"a": 1}', 0.0),
        ('{"a": NaN}', '{"a": 1}', 0.0),
        ("", '{"a": 1}', 0.0),
        ("[" * 100_000, "[]", 0.0),
    ],
)
def test_json_fields(prediction: str, reference: str, score: float) -> None:
    assert json_fields(prediction, reference) == pytest.approx(score)


def test_json_fields_needs_json_to_compare_with() -> None:
    with pytest.raises(ValueError, match="the expected answer is not JSON"):
        json_fields("{}", "Return it.")


def test_the_registry_and_the_names_know_the_same_scorers() -> None:
    assert {*TEXT_SCORERS, "likelihood"} == set(scorer_names.PLAIN)
    assert set(schema.Compare().scorers) <= set(scorer_names.PLAIN)
    assert set(WITHOUT_REFERENCE) < set(TEXT_SCORERS)
    for name, scorer in TEXT_SCORERS.items():
        sentence = '"Return the name."' if name == "json_fields" else "Return the name."
        assert scorer(sentence, sentence) == 1.0, name
        assert scorer("", sentence) == 0.0, name


def test_scorers_are_light() -> None:
    script = (
        "import sys, llmops.compare.scorers.text as s; s.token_f1('a', 'a'); s.chrf('a', 'a');"
        "from llmops.compare.scorers.load import load_scorers; load_scorers(['exact', 'regex:x']);"
        "print({'evaluate', 'torch', 'transformers', 'rouge_score', 'nltk', 'jsonschema'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "set()\n", done.stderr
