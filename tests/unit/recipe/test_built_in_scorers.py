"""The table of built-in scorers."""

from __future__ import annotations

import re

import pytest

from llmops.recipe import schema
from llmops.recipe.built_in_scorers import BUILT_IN, BY_NAME, BuiltIn, Cost, Expected
from llmops.report.wording import metric_name


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(BUILT_IN)
    assert set(schema.Compare().scorers) <= set(BY_NAME)


@pytest.mark.parametrize("scorer", BUILT_IN, ids=lambda scorer: scorer.name)
def test_an_entry_can_stand_in_a_table(scorer: BuiltIn) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", scorer.name)
    assert "\n" not in scorer.meaning
    assert not scorer.meaning.endswith(".")
    assert all(0 <= value <= 1 for value in scorer.values)
    assert not (scorer.title and scorer.argument), "its label is the user's"


def test_forms() -> None:
    assert BY_NAME["exact"].form == "exact"
    assert BY_NAME["regex"].form == "regex:PATTERN"
    assert BY_NAME["evaluate"].form == "evaluate:NAME_OR_PATH[:KEY]"


def test_what_follows_from_an_entry() -> None:
    def named(kind: str) -> set[str]:
        return {scorer.name for scorer in BUILT_IN if getattr(scorer, kind)}

    texts = {"exact", "token_f1", "rouge_l", "chrf", "one_line", "json_fields"}
    assert named("is_of_texts") == texts
    assert named("needs_expected") == texts - {"one_line"} | {"likelihood", "extract"}
    assert named("runs_code") == {"evaluate", "mlflow"}
    optional = BuiltIn("x", "x", expected=Expected.OPTIONAL, cost=Cost.REQUESTS, argument="X")
    assert not any((optional.needs_expected, optional.is_of_texts, optional.runs_code))


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("exact", "exact"),
        ("token_f1", "token F1"),
        ("rouge_l", "ROUGE-L"),
        ("chrf", "chrF"),
        ("one_line", "one line"),
        ("json_fields", "json fields"),
        ("likelihood", "likelihood"),
        ("regex", "regex"),
        ("json_schema_order", "json schema order"),
        ("my_label", "my label"),
        ("\x1b[31m", "unnamed"),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert metric_name(name) == title
