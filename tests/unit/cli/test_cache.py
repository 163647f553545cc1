"""``llmops cache``: cached answers of comparisons are listed and removed."""

from __future__ import annotations

import json

from click.testing import CliRunner

from llmops.cli.main import cli
from llmops.compare.cache import ResultCache
from llmops.files import home


def test_results_are_shown_and_pruned(store: str) -> None:
    with ResultCache() as cache:
        cache.put({"old": 1, "new": 2})
        cache._db.execute("update result set used = used - 40 where key = 'old'")
        cache._db.commit()
    run = CliRunner().invoke
    shown = run(cli, ["cache", "ls"])
    assert "results  results.sqlite" in shown.output
    assert "2 answers and likelihoods" in shown.output
    dry = run(cli, ["cache", "gc", "--unused-for", "30", "--dry-run"])
    assert "would remove 1 cached answers and likelihoods" in dry.output
    assert "removed 1 cached answers" in run(cli, ["cache", "gc", "--unused-for", "30"]).output
    record = json.loads(run(cli, ["cache", "ls", "--output", "json"]).output)
    assert [item["entries"] for item in record["items"] if item["kind"] == "results"] == [1]


def test_a_cache_that_cannot_be_read_is_listed_and_left_alone(store: str) -> None:
    folder = home.folder("cache")
    (folder / "results.sqlite").write_bytes(b"no database")
    (folder / "folder.sqlite").mkdir()
    with ResultCache(folder / "whole.sqlite") as cache:
        cache.put({"a": 1})
    shown = CliRunner().invoke(cli, ["cache", "ls"])
    assert shown.exit_code == 0
    lines = {line.split()[1]: line for line in shown.output.splitlines()[1:-1]}
    assert lines["results.sqlite"].endswith("cannot be read")
    assert lines["folder.sqlite"].endswith("cannot be read")
    assert lines["whole.sqlite"].endswith("1 answers and likelihoods")
    assert (folder / "results.sqlite").read_bytes() == b"no database"
