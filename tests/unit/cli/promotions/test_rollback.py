"""`llmops rollback`, `history` and `audit` as a user meets them."""

from __future__ import annotations

from command_line import Command
from judged import champion, judged

from llmops.gate import promote
from llmops.records import ModelVersion


def test_a_rollback_says_where_the_alias_is(
    llmops: Command, version: ModelVersion, another: ModelVersion
) -> None:
    judged(another.uri, version.uri)
    promote(another.uri)
    done = llmops("rollback", "bot", "--why", "too long")
    assert (done.returncode, done.stdout) == (0, "@champion points to models:/bot/1 again\n")
    assert champion() == "1"
    done = llmops("rollback", "bot", "--to", "7", "--why", "x")
    assert done.returncode == 2
    assert "version 7 was never @champion" in done.stderr
    assert "Next: llmops history bot" in done.stderr


def test_without_a_reason_nothing_moves(llmops: Command, version: ModelVersion) -> None:
    done = llmops("rollback", "bot")
    assert done.returncode == 2
    assert "--why" in done.stderr
    assert champion() == "1"
