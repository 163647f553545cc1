"""A base that vLLM's attention can serve (heads of 32), adapters for it, and the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sides import side_of, write_adapter
from tiny_models import build_vivid_model

from llmops.engine.vllm.environment import BUILT, PYTHON
from llmops.records import ModelFiles

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def python() -> Path:
    """Interpreter of an environment with vLLM."""
    path = Path(os.environ.get(PYTHON) or ROOT / BUILT)  # ours, which `make vllm-env` built
    if not path.is_file():
        pytest.skip(f"no {path}: `make vllm-env` builds it, or {PYTHON} names another")
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_vivid_model(tmp_path_factory.mktemp("vllm") / "base")


@pytest.fixture(scope="session")
def sides(folder: Path) -> list[ModelFiles]:
    """The base, and three adapters of ranks 4, 2 and 12."""
    ranks = (4, 2, 12)
    found = [
        write_adapter(folder, folder.with_name(f"rank{rank}"), seed=rank, rank=rank)
        for rank in ranks
    ]
    return [side_of(folder), *(side_of(folder, adapter) for adapter in found)]
