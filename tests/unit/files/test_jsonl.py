from __future__ import annotations

from pathlib import Path

import pytest

from llmops.files import jsonl


def test_a_line_ends_at_a_line_feed_alone() -> None:
    # str.splitlines would make six lines of these two, and break the JSON in the middle.
    text = '{"a": "x\u2028y\u0085z"}\n\n  \n{"b": "\x0b\x0c"}'
    assert list(jsonl.lines(text)) == [(1, '{"a": "x\u2028y\u0085z"}'), (4, '{"b": "\x0b\x0c"}')]


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n"])
def test_blank_lines_are_no_records(text: str) -> None:
    assert list(jsonl.lines(text)) == []


def test_records_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\n{"id": 2, "é": "ü"}\n', encoding="utf-8")
    assert jsonl.read(tmp_path / "rows.jsonl") == [{"id": 1}, {"id": 2, "é": "ü"}]
