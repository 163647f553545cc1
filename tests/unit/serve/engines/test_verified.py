"""Files are checked once more before an engine reads them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from served import served_adapter, served_base

from llmops.errors import IntegrityError, NotFoundError
from llmops.models import adapters
from llmops.records import ModelFiles
from llmops.serve.engines import verified


def test_bytes_that_changed_since_the_version_was_resolved_are_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    files = served_adapter(base, tmp_path, 7).files
    verified.check(files)
    adapter = Path(str(files.adapter_dir)) / "adapter_model.safetensors"
    whole = adapter.read_bytes()
    adapter.write_bytes(whole[:-1] + b"x")
    with pytest.raises(IntegrityError, match=r"models:/bot/7: .*the bytes differ"):
        verified.check(files)
    adapter.write_bytes(whole)
    config = base / "config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(IntegrityError, match="the bytes differ"):
        verified.check(files)
    shutil.rmtree(adapter.parent)
    config.write_text(config.read_text().removesuffix(" "))
    with pytest.raises(NotFoundError, match=r"models:/bot/7: .*adapter was deleted"):
        verified.check(files)
    shutil.rmtree(base)
    with pytest.raises(NotFoundError, match="no such directory"):
        verified.check(files)


def test_a_full_model_is_its_own_base(tiny_model: Path) -> None:
    verified.check(served_base(tiny_model).files)


def test_unchanged_bytes_pass(files: ModelFiles, copied: ModelFiles) -> None:
    verified.check(files)
    verified.check(copied)
    assert copied.adapter_dir is not None
    assert adapters.content_digest(copied.adapter_dir.parent) == copied.adapter_digest


@pytest.mark.parametrize("folder", ["adapter_dir", "tokenizer_dir"])
def test_changed_bytes_are_refused(copied: ModelFiles, folder: str) -> None:
    file = min(getattr(copied, folder).glob("*.j*"))
    file.write_text(file.read_text() + " ")
    with pytest.raises(IntegrityError, match="the bytes differ"):
        verified.check(copied)


def test_another_base_and_a_missing_one_are_refused(files: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="the bytes differ"):
        verified.check(replace(files, base=replace(files.base, digest="0" * 64)))
    with pytest.raises(NotFoundError):
        verified.check(replace(files, base=replace(files.base, directory=tmp_path / "none")))
