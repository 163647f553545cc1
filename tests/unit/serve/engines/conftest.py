"""A version whose files a test may change."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from llmops.models import adapters
from llmops.records import ModelFiles


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
