"""The files of a version survive JSON, and changed bytes are noticed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from llmops.errors import IntegrityError, NotFoundError
from llmops.models import adapters
from llmops.records import ModelFiles
from llmops.serve.engines.files_json import from_json, to_json, verify


@pytest.fixture
def copied(files: ModelFiles, tmp_path: Path) -> ModelFiles:
    """A version whose files a test may change."""
    assert files.adapter_dir is not None
    adapter, tokenizer = tmp_path / "adapter", tmp_path / "tokenizer"
    shutil.copytree(files.adapter_dir, adapter)
    tokenizer.mkdir()
    (tokenizer / "chat_template.jinja").write_text("{{ messages }}")
    digest = adapters.parts_digest(adapter, tokenizer)
    return replace(files, adapter_dir=adapter, adapter_digest=digest, tokenizer_dir=tokenizer)


def test_json_and_back(files: ModelFiles, copied: ModelFiles) -> None:
    for one in (files, copied, replace(files, adapter_dir=None, adapter_digest=None)):
        assert from_json(json.loads(json.dumps(to_json(one)))) == one


@pytest.mark.parametrize("damage", [{"base": None}, {"base": {"name": "x"}}, {"uri": None}])
def test_a_damaged_record_is_refused(files: ModelFiles, damage: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="damaged"):
        from_json(to_json(files) | damage)


def test_unchanged_bytes_pass(files: ModelFiles, copied: ModelFiles) -> None:
    verify(files)
    verify(copied)
    assert copied.adapter_dir is not None
    assert adapters.content_digest(copied.adapter_dir.parent) == copied.adapter_digest


@pytest.mark.parametrize("folder", ["adapter_dir", "tokenizer_dir"])
def test_changed_bytes_are_refused(copied: ModelFiles, folder: str) -> None:
    file = min(getattr(copied, folder).glob("*.j*"))
    file.write_text(file.read_text() + " ")
    with pytest.raises(IntegrityError, match="the bytes differ"):
        verify(copied)


def test_another_base_and_a_missing_one_are_refused(files: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="the bytes differ"):
        verify(replace(files, base=replace(files.base, digest="0" * 64)))
    with pytest.raises(NotFoundError):
        verify(replace(files, base=replace(files.base, directory=tmp_path / "none")))
