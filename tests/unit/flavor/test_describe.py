from __future__ import annotations

import pytest

from llmops.flavor.describe import describe
from llmops.records import ModelVersion
from llmops.report.lineage import HEADING
from llmops.store import connection, registry, tags


def test_a_version_and_its_logged_model_say_what_they_are_made_of(version: ModelVersion) -> None:
    logged = connection.client().get_logged_model(version.model_id)
    for text in (registry.version_record("bot", "1").description, logged.tags[tags.NOTE]):
        assert "LoRA r4 on tiny" in text
        assert HEADING in text


def test_what_stands_above_the_lineage_stays(version: ModelVersion) -> None:
    registry.redescribe("bot", "1", None, lambda text: f"Mine.\n\n{HEADING}\nold")
    describe("bot", "1")
    text = registry.version_record("bot", "1").description
    assert text.startswith("Mine.")
    assert "old" not in text


def test_a_version_that_cannot_be_described_is_a_warning(
    version: ModelVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    describe("bot", "7")
    assert "warning: models:/bot/7 has no description: models:/bot/7" in capsys.readouterr().err
