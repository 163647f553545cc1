"""`llmops data` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Command

from llmops.files import digest


def test_the_splits_are_written_and_listed(
    llmops: Command, own_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_recipe.parent)
    done = llmops("data", str(own_recipe))
    assert done.returncode == 0, done.stderr
    titles, *rows = (line.split() for line in done.stdout.splitlines())
    assert titles == ["split", "rows", "file", "digest"]
    for name, count, file, short in rows:
        content = Path(file).read_bytes()
        assert file == f"data/{name}.jsonl"
        assert content.count(b"\n") == int(count)
        assert digest.of_bytes(content).startswith(short)
    assert sum(int(row[1]) for row in rows) == 60
    elsewhere = llmops("data", str(own_recipe), "--out", "b", "seed=8", "--output", "json")
    assert [split["path"] for split in json.loads(elsewhere.stdout)["splits"]] == [
        f"b/{row[0]}.jsonl" for row in rows
    ]
    assert Path("b/test.jsonl").read_bytes() != Path("data/test.jsonl").read_bytes()


def test_a_missing_column_is_a_usage_error_and_nothing_is_written(
    llmops: Command, own_recipe: Path
) -> None:
    out = own_recipe.parent / "out"
    done = llmops("data", str(own_recipe), "data.prompt=question", "--out", str(out))
    assert done.returncode == 2
    assert "own.csv: no column 'question'; it has 'q', 'a'" in done.stderr
    assert "Next: llmops data RECIPE data.prompt=COLUMN" in done.stderr
    assert not out.exists()
