"""Training as a stage of its own, and how a loop ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops import pipeline
from llmops.recipe import load_recipe
from llmops.store import connection, registry


def test_a_training_that_is_called_again_gives_the_same_version(
    store: str, own_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = load_recipe(own_recipe, ["train.max_steps=2", "gate.min_prompts=500"])
    connection.connect()
    connection.use_experiment(chosen.name)
    first = pipeline.fine_tune(chosen, tmp_path / "work")
    again = pipeline.fine_tune(chosen, tmp_path / "work")
    assert first[2] == again[2]
    assert registry.latest_version("own") == "1"
    assert (
        "fewer test rows than gate.min_prompts=500: no version can pass" in capsys.readouterr().err
    )
