"""The section ``data``: what may stand together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from llmops.recipe.data import Data


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "source `file` needs `path`"),
        ({"source": "stdlib_docstrings", "path": "x.csv"}, "`path` belongs to source `file`"),
        ({"path": "x", "messages": "m", "template": "{a}"}, "keep one"),
        ({"path": "x", "template": "no column"}, "names no column"),
        ({"path": "x", "template": "{% if a %}"}, "template"),
        ({"path": "x", "test_fraction": 0.5, "validation_fraction": 0.4}, "must stay below 0.9"),
        ({"path": "x", "test": {"file": "y"}}, "path"),
    ],
)
def test_what_contradicts_itself_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Data.model_validate(given)


def test_a_new_key_at_its_default_changes_no_figures() -> None:
    assert Data(path="x.csv").model_dump(exclude_defaults=True, mode="json") == {"path": "x.csv"}
