from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which nothing but the export may appear."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder
