"""The files of a version survive JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from llmops.errors import IntegrityError
from llmops.models import adapters
from llmops.records import ModelFiles
from llmops.serve.engines.files_json import from_json, to_json


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
