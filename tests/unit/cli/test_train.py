"""`llmops train` as a user meets it."""

from __future__ import annotations

from pathlib import Path

from command_line import Command

from llmops.store import registry


def test_a_version_is_registered_and_nothing_is_promoted(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    done = llmops("train", str(own_recipe))
    assert done.returncode == 0, done.stderr
    first, then = done.stdout.splitlines()
    assert first.startswith("models:/own/1: ")
    assert ", 6 steps, " in first
    assert "validation loss " in first
    assert then == f"Next: llmops gate {own_recipe} --candidate models:/own/1"
    assert registry.version_of_alias("own", "challenger") == "1"
    assert registry.version_of_alias("own", "champion") is None


def test_an_example_that_is_too_long_is_a_usage_error(
    llmops: Command, store: str, own_recipe: Path
) -> None:
    done = llmops("train", str(own_recipe), "train.max_length=16")
    assert done.returncode == 2
    assert "max_length" in done.stderr
    assert "Traceback" not in done.stderr
