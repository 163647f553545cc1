"""A small recipe that a test may change."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_recipe import SMALL


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path
