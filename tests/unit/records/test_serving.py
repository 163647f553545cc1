from __future__ import annotations

import pytest

from llmops.records.serving import served_name


@pytest.mark.parametrize(
    ("uri", "name"), [("models:/bot/7", "bot@v7"), ("models:/my-bot.2/12", "my-bot.2@v12")]
)
def test_a_version_has_one_name_for_ever(uri: str, name: str) -> None:
    assert served_name(uri) == name
