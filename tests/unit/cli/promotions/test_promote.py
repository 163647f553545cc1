"""`llmops promote` as a user meets it."""

from __future__ import annotations

import pytest
from command_line import Command

from llmops.records import ModelVersion
from llmops.store import registry


def test_a_version_without_evidence_is_not_promoted(llmops: Command, version: ModelVersion) -> None:
    done = llmops("promote", version.uri, "--to", "production")
    assert done.returncode == 2
    assert f"{version.uri}: has no evidence" in done.stderr
    assert f"Next: llmops gate RECIPE --candidate {version.uri}" in done.stderr
    assert registry.version_of_alias(version.name, "production") is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["quickstart"], "'quickstart'"),
        (["models:/none@challenger"], "none"),
        (["models:/bot/1", "--to", "v1"], "v1"),
    ],
)
def test_what_cannot_be_promoted_is_a_usage_error(
    llmops: Command, store: str, arguments: list[str], complaint: str
) -> None:
    done = llmops("promote", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
