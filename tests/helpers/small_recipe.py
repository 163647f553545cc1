"""A small recipe, changed and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.errors import ConfigError
from llmops.recipe.load import load_recipe

SMALL = """\
schema_version: 1
name: small
data:
  path: rows.csv
train:
  base: tiny
  lora: {rank: 4}
flavor:
  model: bot
compare:
  scorers: [token_f1, one_line]
gate:
  require:
    - {metric: token_f1, margin: 0.05}
    - metric: one_line
      must: improve
serve:
  prompt: Hello
"""


def changed(recipe: Path, old: str, new: str) -> Path:
    text = recipe.read_text(encoding="utf-8")
    assert text.count(old) == 1
    recipe.write_text(text.replace(old, new), encoding="utf-8")
    return recipe


def problems(recipe: Path, *overrides: str) -> list[str]:
    """Problems without the file's name: ``line: key: what``."""
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe, overrides)
    return [problem.removeprefix(f"{recipe}:") for problem in caught.value.problems]
