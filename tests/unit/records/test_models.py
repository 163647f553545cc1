from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from llmops.records import BaseModel, ModelFiles, ModelVersion, RemoteModel
from llmops.records.models import identity


def test_records_cannot_be_changed_on_their_way() -> None:
    version = ModelVersion("bot", "3", "m-1", None, "a", "b")
    assert version.uri == "models:/bot/3"
    with pytest.raises(FrozenInstanceError):
        version.version = "4"  # type: ignore[misc]


def test_the_adapter_tells_two_sides_of_one_base_apart() -> None:
    base = BaseModel("tiny", "models:/tiny/1", "ba5e", Path())
    bare = ModelFiles("base", base.uri, base, None, None, None)
    tuned = ModelFiles("v1", "models:/bot/1", base, Path(), "ada9", None)
    assert (bare.digest, tuned.digest) == ("ba5e", identity("ba5e", "ada9"))


def test_the_base_tells_two_sides_with_one_adapter_apart() -> None:
    sides = [
        ModelFiles("v1", "models:/bot/1", BaseModel("tiny", "models:/tiny/1", base, Path()), *rest)
        for base in ("ba5e", "0e4e")
        for rest in [(Path(), "ada9", None)]
    ]
    assert sides[0].digest != sides[1].digest
    versions = [ModelVersion("bot", "1", None, None, "ada9", base) for base in ("ba5e", "0e4e")]
    assert [version.digest for version in versions] == [side.digest for side in sides]


def test_an_identity_is_of_both_digests_and_a_digest_itself() -> None:
    found = {identity("a", "b"), identity("b", "a"), identity("a", "c"), identity("a", None)}
    assert len(found) == 4
    assert len(identity("a", "b")) == 64


def test_a_full_model_is_identified_by_its_own_bytes() -> None:
    assert ModelVersion("bot", "1", None, None, None, "f011").digest == "f011"


def test_a_model_behind_a_url_has_no_bytes() -> None:
    remote = RemoteModel("gpt", "openai:http://x/v1#gpt", "00")
    assert (remote.base, remote.adapter_digest, remote.model_id) == (None, None, None)


def test_a_name_says_which_model() -> None:
    base = BaseModel("tiny", "models:/tiny/1", "ba5e", Path())
    names = {
        ModelFiles("base", base.uri, base, None, None, None).name: "tiny",
        ModelFiles("v3", "models:/bot/3", base, Path(), "ada9", None).name: "bot/3",
        ModelFiles("v4", "models:/whole/4", base, None, None, None).name: "whole/4",
        ModelFiles("m-1", "models:/m-1", base, Path(), "ada9", "m-1").name: "m-1",
        ModelFiles("my-folder", "my-folder", base, Path(), "ada9", None).name: "my-folder",
        RemoteModel("gpt", "openai:http://x/v1#gpt", "00").name: "gpt",
    }
    assert list(names) == list(names.values())
