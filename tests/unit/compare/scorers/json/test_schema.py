"""Answers that fit a schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scorer_records import scored

from llmops.compare.scorers.load import load_scorers
from llmops.errors import DataError, NotFoundError, UsageError

SCHEMA = {
    "type": "object",
    "required": ["total"],
    "properties": {"total": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}


def test_json_schema(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(json.dumps(SCHEMA))
    assert scored(
        "json_schema:order.json",
        (' {"total": 3}\n', None),
        ('{"total": -1}', None),
        ('{"total": 3, "more": 1}', None),
        ('```json\n{"total": 3}\n```', None),
        ("", None),
        ('{"total": NaN}', None),
        ("[" * 100_000, None),
        folder=tmp_path,
    ) == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ('{"type": "objekt"}', "not a JSON schema: at type"),
        ("3", "not a JSON schema"),
    ],
)
def test_no_json_schema(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(DataError, match=says):
        load_scorers(["json_schema:s.json"], folder=tmp_path)
    with pytest.raises(NotFoundError, match="no such file"):
        load_scorers(["json_schema:none.json"], folder=tmp_path)


def test_a_schema_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    (tmp_path / "s.json").write_text('{"$ref": "http://example.invalid/s.json"}')
    with pytest.raises(UsageError, match=r"raised \w+: Unresolvable"):
        scored("json_schema:s.json", ("{}", None), folder=tmp_path)
