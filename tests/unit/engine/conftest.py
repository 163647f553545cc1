"""A lively tiny base with two adapters, one engine for a test module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sides import side_of, write_adapter

from llmops.records import LoadOptions, ModelFiles

if TYPE_CHECKING:
    from llmops.engine.local.engine import LocalEngine


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with larger weights: as it is, it repeats one token, whatever is asked."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("lively") / "base"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    larger = {name: w * 10 if w.ndim > 1 else w for name, w in weights.items()}
    save_file(larger, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices of 32 x 32 gain nothing from threads, which wait for each other on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def adapter(folder: Path) -> Path:
    return write_adapter(folder, folder.with_name("adapter"), seed=1, rank=4)


@pytest.fixture(scope="module")
def base(folder: Path) -> ModelFiles:
    return side_of(folder)


@pytest.fixture(scope="module")
def tuned(folder: Path, adapter: Path) -> ModelFiles:
    return side_of(folder, adapter)


@pytest.fixture(scope="module")
def other(folder: Path) -> ModelFiles:
    return side_of(folder, write_adapter(folder, folder.with_name("other"), seed=2, rank=2))


@pytest.fixture(scope="module")
def engine(base: ModelFiles, tuned: ModelFiles, other: ModelFiles) -> LocalEngine:
    from llmops.engine.local.engine import LocalEngine

    return LocalEngine([base, tuned, other], options=LoadOptions(dtype="float32"))
