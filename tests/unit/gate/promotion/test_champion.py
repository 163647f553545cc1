"""The alias follows the ledger, whoever wrote the entry and in whatever order."""

from __future__ import annotations

import pytest
from judged import champion

from llmops.errors import IntegrityError
from llmops.gate.promotion.champion import (
    finish,
    former,
    promotion_command,
    settle,
    state,
    verify_in_store,
)
from llmops.records import ModelVersion
from llmops.records.promotion import Kind
from llmops.store import connection, ledger, registry


def write(kind: Kind, before: str | None, version: str) -> int:
    number = len(ledger.entries("bot")) + 1
    entry = ledger.new_entry(number, kind, "champion", before, version, identity="ab" * 32)
    assert ledger.append("bot", entry)
    return number


def test_before_the_first_entry_the_alias_decides(version: ModelVersion) -> None:
    found = state("bot", "champion")
    assert (found.champion, found.last, found.next_number) == ("1", None, 1)
    assert (found.half_done, found.gone, found.moved_by_hand) == (False, False, False)
    settle("bot", "champion")
    assert champion() == "1"


def test_an_entry_is_half_done_until_the_alias_moved(
    version: ModelVersion, challenger: ModelVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Kind.PROMOTE, "1", "2")
    found = state("bot", "champion")
    assert (found.champion, found.points_to, found.half_done) == ("2", "1", True)
    after = finish(found)
    said = capsys.readouterr().err
    assert "gate: models:/bot/2 is @champion now: its promotion by" in said
    assert (after.points_to, after.done, after.half_done) == ("2", True, False)
    assert finish(after) == after
    registry.set_alias("bot", "champion", "1")
    assert state("bot", "champion").moved_by_hand, "what is done is not half done"


def test_an_alias_that_is_written_late_ends_at_the_newest_entry(
    version: ModelVersion,
    challenger: ModelVersion,
    third: ModelVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(Kind.PROMOTE, "1", "2")
    real = registry.set_alias

    def late(name: str, alias: str, version: str) -> None:
        monkeypatch.setattr(registry, "set_alias", real)
        write(Kind.PROMOTE, "2", "3")
        settle("bot", "champion")  # another process is faster, and newer
        assert champion() == "3"
        real(name, alias, version)
        assert champion() == "2"

    monkeypatch.setattr(registry, "set_alias", late)
    settle("bot", "champion")
    assert champion() == "3"


def test_a_rollback_ends_the_line_at_its_target(
    version: ModelVersion, challenger: ModelVersion, third: ModelVersion
) -> None:
    def offered() -> list[str]:
        return [entry.version for entry in former(state("bot", "champion"))]

    for before, now in ((None, "1"), ("1", "2"), ("2", "3")):
        write(Kind.PROMOTE, before, now)
    assert offered() == ["1", "2"]
    write(Kind.ROLLBACK, "3", "2")
    assert offered() == ["1"]
    write(Kind.ROLLBACK, "2", "3")
    assert offered() == ["1", "2"]
    connection.client().delete_model_version("bot", "2")
    assert offered() == ["1"]


def test_the_bytes_in_the_store_are_read(version: ModelVersion) -> None:
    verify_in_store(version)
    source = registry.version_record("bot", "1").source.removeprefix("models:/")
    folder = connection.client().get_logged_model(source).artifact_location
    path = folder.removeprefix("file://") + "/adapter/adapter_model.safetensors"
    with open(path, "ab") as file:
        file.write(b"\x00")
    with pytest.raises(IntegrityError):
        verify_in_store(version)


def test_the_command_names_another_alias_only() -> None:
    assert promotion_command("models:/bot/2", "champion") == "llmops promote models:/bot/2"
    assert promotion_command("models:/bot/2", "live") == "llmops promote models:/bot/2 --to live"
