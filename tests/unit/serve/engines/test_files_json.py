"""The files of a version survive JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from llmops.errors import IntegrityError
from llmops.records import ModelFiles
from llmops.serve.engines.files_json import from_json, to_json


def test_json_and_back(files: ModelFiles, copied: ModelFiles) -> None:
    for one in (files, copied, replace(files, adapter_dir=None, adapter_digest=None)):
        assert from_json(json.loads(json.dumps(to_json(one)))) == one


@pytest.mark.parametrize("damage", [{"base": None}, {"base": {"name": "x"}}, {"uri": None}])
def test_a_damaged_record_is_refused(files: ModelFiles, damage: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="damaged"):
        from_json(to_json(files) | damage)
