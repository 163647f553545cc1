"""A base is added once, by whatever name, and found ever after."""

from __future__ import annotations

from pathlib import Path

import pytest
from versions import registered

from llmops import flavor
from llmops.errors import NotFoundError
from llmops.records import BaseModel


def test_a_base_is_registered_once(base: BaseModel, tiny_model: Path) -> None:
    assert flavor.add_base(tiny_model, "other-name").digest == base.digest
    assert registered() == ["tiny/1"]
    assert flavor.ensure_base("tiny") == base


def test_a_base_that_is_nowhere_says_what_to_do(store: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        flavor.ensure_base("no-such-model")
    assert "llmops base add" in str(caught.value)
    assert registered() == []
