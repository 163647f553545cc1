"""What the verbs share: columns and the two kinds of output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmops.cli.options import columns, emit, read_recipe
from llmops.errors import NotFoundError


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("name", "digest", ""), ("a", "12e4567", "note"), ("longer", "0012", "")]
    assert columns(rows).splitlines() == [
        "name    digest",
        "a       12e4567  note",
        "longer  0012",
    ]


def test_a_result_is_text_or_a_versioned_record(capsys: pytest.CaptureFixture[str]) -> None:
    emit("table", "a table", {"n": 1})
    assert capsys.readouterr().out == "a table\n"
    emit("json", "a table", {"n": 1, "path": Path("a/b")})
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "n": 1, "path": "a/b"}


def test_a_recipe_is_read_by_its_name_with_overrides() -> None:
    assert read_recipe("quickstart", ("seed=9",)).seed == 9
    with pytest.raises(NotFoundError, match="'nowhere'"):
        read_recipe("nowhere", ())
