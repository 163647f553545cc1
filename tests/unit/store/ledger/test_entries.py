"""Entries of the ledger: one writer each, never changed, damage refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from llmops.errors import IntegrityError, UsageError
from llmops.records.promotion import Entry, Kind
from llmops.store import connection, ledger


@pytest.fixture
def bot(store: str) -> str:
    connection.client().create_registered_model("bot")
    return "bot"


def entry(number: int, version: str = "1", **details: object) -> Entry:
    known = {"identity": "ab" * 32, **details}
    return ledger.new_entry(number, Kind.PROMOTE, "champion", None, version, **known)


def run_of(name: str) -> str:
    return str(connection.client().get_registered_model(name).tags["llmops.ledger"])


def test_what_was_written_is_read(bot: str) -> None:
    assert ledger.read(bot) == ledger.Ledger()
    first = entry(1, evidence="cd" * 32, policy="p", suite="s", why='because "ü"\nand more')
    other = replace(entry(2, "2"), alias="production")
    assert ledger.append(bot, first)
    assert ledger.append(bot, other)
    assert ledger.entries(bot) == (first, other)
    assert ledger.read(bot).of("production") == (other,)
    assert first.who
    assert ledger.append(bot, first), "the same entry sent twice is one success"
    ledger.mark_done(bot, 1)
    ledger.mark_done(bot, 1)
    assert ledger.read(bot).done == {1}


def test_a_number_belongs_to_whoever_was_first(bot: str) -> None:
    ledger.append(bot, entry(1))
    start = Barrier(6)

    def attempt(version: int) -> bool:
        mine = entry(2, str(version))
        start.wait()
        return ledger.append(bot, mine)

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(attempt, range(6)))
    assert won.count(True) == 1
    assert ledger.entries(bot)[1].version == str(won.index(True))
    assert not ledger.append(bot, entry(2)), "not even with the same content: it is another attempt"


def test_a_reason_that_mlflow_would_cut_is_refused(bot: str) -> None:
    longest = entry(1, why="ü" * 5_400)
    assert ledger.append(bot, longest)
    assert ledger.entries(bot) == (longest,)
    with pytest.raises(UsageError, match=r"the reason is too long: .* takes 6,000"):
        ledger.append(bot, entry(2, why="x" * 6_000))
    assert ledger.entries(bot) == (longest,)


def test_a_later_version_may_add_keys_but_no_schema(bot: str) -> None:
    ledger.append(bot, entry(1))
    client = connection.client()
    record = json.loads(client.get_run(run_of(bot)).data.params["000001"])
    client.log_param(run_of(bot), "000002", json.dumps({**record, "more": 1}))
    client.log_param(run_of(bot), "a note", "of somebody")
    assert len(ledger.entries(bot)) == 2
    client.log_param(run_of(bot), "000003", json.dumps({**record, "schema_version": 2}))
    with pytest.raises(UsageError, match="entry 3 has schema_version 2; this llmops reads 1"):
        ledger.entries(bot)


@pytest.mark.parametrize(
    ("number", "value", "says"),
    [
        (2, "no JSON", "entry 2 is damaged"),
        (2, "[]", "entry 2 is damaged"),
        (2, '{"schema_version": 1}', "entry 2 is damaged"),
        (3, "{}", "entry 2 is missing"),
    ],
)
def test_a_damaged_ledger_is_refused(bot: str, number: int, value: str, says: str) -> None:
    ledger.append(bot, entry(1))
    connection.client().log_param(run_of(bot), f"{number:06d}", value)
    with pytest.raises(IntegrityError, match=says):
        ledger.entries(bot)
