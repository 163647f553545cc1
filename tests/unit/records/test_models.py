from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from llmops.records import BaseModel, ModelFiles, ModelVersion, RemoteModel


def test_records_cannot_be_changed_on_their_way() -> None:
    version = ModelVersion("bot", "3", "m-1", None, "a", "b")
    assert version.uri == "models:/bot/3"
    with pytest.raises(FrozenInstanceError):
        version.version = "4"  # type: ignore[misc]


def test_the_adapter_tells_two_sides_of_one_base_apart() -> None:
    base = BaseModel("tiny", "models:/tiny/1", "ba5e", Path())
    bare = ModelFiles("base", base.uri, base, None, None, None)
    tuned = ModelFiles("v1", "models:/bot/1", base, Path(), "ada9", None)
    assert (bare.digest, tuned.digest) == ("ba5e", "ada9")


def test_a_full_model_is_identified_by_its_own_bytes() -> None:
    assert ModelVersion("bot", "1", None, None, "ada9", "ba5e").digest == "ada9"
    assert ModelVersion("bot", "1", None, None, None, "f011").digest == "f011"


def test_a_model_behind_a_url_has_no_bytes() -> None:
    remote = RemoteModel("gpt", "openai:http://x/v1#gpt", "00")
    assert (remote.base, remote.adapter_digest, remote.model_id) == (None, None, None)
