from __future__ import annotations

from llmops.records.promotion import Kind


def test_each_kind_is_what_is_stored_and_has_a_noun() -> None:
    assert [(str(kind), kind.noun) for kind in Kind] == [
        ("promote", "promotion"),
        ("rollback", "rollback"),
        ("adopted", "adoption"),
    ]
