"""Rollback: only to a version that was champion before, with the bytes that it had then."""

from __future__ import annotations

from contextlib import suppress

import pytest
from judged import REJECTED, champion, judged
from kills import LEDGER_WRITES, Killed, impatient, killed_at

from llmops.errors import IntegrityError, NotFoundError, UsageError
from llmops.gate.promotion.audit import audit, half_done
from llmops.gate.promotion.promote import promote
from llmops.gate.promotion.rollback import rollback
from llmops.models.proof import recorded
from llmops.records import ModelVersion
from llmops.records.promotion import Kind
from llmops.store import connection, ledger, registry


@pytest.fixture
def line(version: ModelVersion, challenger: ModelVersion, third: ModelVersion) -> None:
    """Versions 1, 2 and 3 were champion one after the other."""
    for candidate, baseline in ((version, None), (challenger, version), (third, challenger)):
        judged(candidate.uri, baseline.uri if baseline else "tiny")
        promote(candidate.uri)


def numbers() -> list[tuple[str, str | None, str]]:
    return [(entry.kind, entry.before, entry.version) for entry in ledger.entries("bot")]


def test_it_goes_back_one_champion_after_the_other(line: None) -> None:
    assert rollback("bot", why="answers in French") == "models:/bot/2"
    assert champion() == "2"
    with pytest.raises(UsageError, match="went back to version 2 for this reason already"):
        rollback("bot", why="answers in French")
    assert rollback("bot", why="and in German") == "models:/bot/1"
    assert champion() == "1"
    with pytest.raises(UsageError, match="no earlier champion is left; earlier champions: none"):
        rollback("bot", why="and in Latin")
    assert rollback("bot", to="3", why="fixed in the prompt") == "models:/bot/3"
    assert champion() == "3"
    assert numbers()[-3:] == [
        (Kind.ROLLBACK, "3", "2"),
        (Kind.ROLLBACK, "2", "1"),
        (Kind.ROLLBACK, "1", "3"),
    ]
    assert ledger.entries("bot")[-1].why == "fixed in the prompt"


def test_it_goes_to_champions_only(line: None, challenger: ModelVersion) -> None:
    with pytest.raises(UsageError, match="version 9 was never @champion; earlier champions: 1, 2"):
        rollback("bot", to="9", why="x")
    with pytest.raises(UsageError, match="no promotion to @production is on record"):
        rollback("bot", alias="production", why="x")
    with pytest.raises(UsageError, match="a rollback needs a reason"):
        rollback("bot", why="  ")
    with pytest.raises(NotFoundError, match="nobody: no such registered model"):
        rollback("nobody", why="x")
    assert rollback("bot", to="3", why="x") == "models:/bot/3", "champion already"
    assert len(numbers()) == 3
    connection.client().delete_model_version("bot", "2")
    assert rollback("bot", why="x") == "models:/bot/1", "a deleted version is passed over"
    with pytest.raises(NotFoundError, match="models:/bot/2: no such version"):
        rollback("bot", to="2", why="x")


def test_other_bytes_than_those_of_the_champion_are_refused(
    line: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = registry.version_record("bot", "2")
    folder = connection.client().get_logged_model(model.source.removeprefix("models:/"))
    path = folder.artifact_location.removeprefix("file://") + "/adapter/adapter_model.safetensors"
    with open(path, "r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(IntegrityError, match="models:/bot/2"):
        rollback("bot", why="x")
    assert champion() == "3"
    assert len(numbers()) == 3


def test_the_evidence_that_made_it_champion_holds_again(
    line: None, challenger: ModelVersion, third: ModelVersion
) -> None:
    before = recorded("bot", "2").digest
    judged(challenger.uri, third.uri, REJECTED)  # worse than its successor, as was to be expected
    assert not recorded("bot", "2").content.passed
    rollback("bot", why="the successor is slow")
    assert recorded("bot", "2").digest == before
    assert audit(["bot"]) == ()


def test_a_rollback_ends_a_move_by_hand(line: None) -> None:
    registry.set_alias("bot", "champion", "1")
    assert rollback("bot", to="1", why="as done by hand") == "models:/bot/1"
    assert champion() == "1"
    assert audit(["bot"]) == (), "version 1 has evidence, and the ledger says that it is champion"


def test_a_kill_before_any_write_is_finished_by_the_same_command(
    line: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    number, steps = 0, set()
    while True:
        number += 1

        def work(reason: str = f"reason {number}") -> str:
            return rollback("bot", why=reason)

        try:
            killed_at(monkeypatch, number, work, LEDGER_WRITES)
        except Killed:
            steps |= {finding.next_command for finding in half_done()}
            with suppress(UsageError):  # all but the mark was written: it is not done twice
                work()
        else:
            break
        assert champion() == "2"
        assert half_done() == ()
        rollback("bot", to="3", why=f"forth {number}")
        assert [version for _, _, version in numbers()][-2:] == ["2", "3"]
    assert number > 3
    assert steps == {"llmops rollback bot --to 2 --why TEXT"}


def test_whoever_is_slower_learns_it(line: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ledger.append

    def late(name: str, entry: object) -> bool:
        monkeypatch.setattr(ledger, "append", real)
        rollback("bot", to="1", why="faster")
        return real(name, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "append", late)
    with pytest.raises(UsageError, match=r"stale: .* was faster; models:/bot/1 is @champion now"):
        rollback("bot", why="slower")
    assert champion() == "1"
    assert [entry.why for entry in ledger.entries("bot")][-1] == "faster"
