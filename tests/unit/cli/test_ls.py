"""`llmops ls` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest
from command_line import Command

from llmops.records import ModelVersion


def test_models_and_versions_are_listed(llmops: Command, another: ModelVersion) -> None:
    models = llmops("ls")
    assert models.returncode == 0, models.stderr
    lines = [line.split() for line in models.stdout.splitlines()]
    assert lines[0] == ["MODEL", "VERSIONS", "ALIASES", "NEWEST", "VERDICT"]
    assert lines[1] == ["bot", "2", "@champion", "1", "2", "-"]
    assert lines[2][-1] == "base"
    versions = llmops("ls", "bot")
    assert [line.split()[:3] for line in versions.stdout.splitlines()] == [
        ["VERSION", "ALIASES", "VERDICT"],
        ["2", "-", "-"],
        ["1", "@champion", "-"],
    ]
    found = json.loads(llmops("ls", "bot", "--output", "json").stdout)
    assert [each["version"] for each in found["versions"]] == ["2", "1"]


def test_an_unknown_model_and_an_empty_store(llmops: Command, store: str) -> None:
    assert llmops("ls").stdout == "No model is registered.\n  Next: llmops run quickstart\n"
    done = llmops("ls", "bot")
    assert done.returncode == 2
    assert "bot: no such registered model" in done.stderr


@pytest.mark.parametrize(
    "verb",
    [
        ["ls"],
        ["show", "models:/bot/1"],
        ["history", "bot"],
        ["audit", "--all"],
        ["promote", "models:/bot/1"],
        ["rollback", "bot", "--why", "x"],
        ["evidence", "verify", "models:/bot/1"],
        ["base", "ls"],
    ],
    ids=lambda verb: verb[0],
)
def test_a_verb_that_reads_creates_nothing(
    llmops: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    done = llmops(*verb)
    assert done.returncode == 1
    assert "sqlite:///mlflow.db: no such store" in done.stderr
    assert list(folder.iterdir()) == []
