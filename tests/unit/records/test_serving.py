from __future__ import annotations

import pytest

from llmops.records.serving import served_name


@pytest.mark.parametrize(
    ("uri", "name"),
    [("models:/bot/7", "bot@v7"), ("models:/my model.v2/12", "my model.v2@v12")],
)
def test_the_name_of_a_version_is_immutable(uri: str, name: str) -> None:
    assert served_name(uri) == name
