from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def adapter(tiny_adapter: Path, tmp_path: Path) -> Path:
    """A copy of the tiny adapter, free to be damaged."""
    return Path(shutil.copytree(tiny_adapter, tmp_path / "adapter"))
