"""Lists of models and versions are what the registry holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from judged import judged
from trained import another_adapter, log_trained

from llmops.errors import NotFoundError
from llmops.records import ModelVersion
from llmops.store.listing import list_models, list_versions


def test_versions_have_their_aliases_and_verdicts(
    version: ModelVersion, tiny_model: Path, tmp_path: Path
) -> None:
    candidate = log_trained(another_adapter(tiny_model, tmp_path))
    judged(candidate.uri, version.uri)
    second, first = list_versions("bot")
    assert (first.version, first.aliases, first.verdict) == ("1", ("champion",), "")
    assert (second.version, second.aliases, second.verdict) == ("2", ("challenger",), "IMPROVED")
    assert second.delta
    assert second.created.endswith("+00:00")
    bot, tiny = list_models()
    assert (bot.name, bot.versions, bot.newest) == ("bot", 2, second)
    assert dict(bot.aliases) == {"challenger": "2", "champion": "1"}
    assert tiny.newest is not None
    assert tiny.newest.kind == "base"


def test_a_near_name_is_proposed(version: ModelVersion) -> None:
    with pytest.raises(NotFoundError, match="bto: no such registered model") as caught:
        list_versions("bto")
    assert "bot" in str(caught.value)


def test_an_empty_store_has_no_models(store: str) -> None:
    assert list_models() == ()
