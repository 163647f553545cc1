"""Many promotions at once, from several machines, and promotions that are killed.

``LLMOPS_TEST_PROMOTIONS=200`` and ``-s`` show the figures of the documentation.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from contenders import Attempts, all_attempts, killed_before
from judged import champion, proven
from kills import impatient
from servers import machine, mlflow_server, no_postgresql, postgresql
from tiny_models import build_tiny_adapter
from versions import log_version

from llmops import flavor
from llmops.cli.main import cli
from llmops.gate import history, rollback
from llmops.gate.promotion.audit import half_done
from llmops.models.resolve import resolve
from llmops.records.promotion import Kind
from llmops.store import ledger

pytestmark = pytest.mark.timeout(1_800)

PROMOTIONS = int(os.environ.get("LLMOPS_TEST_PROMOTIONS", "40"))
"""Calls of ``promote``; most come second, because the champion they were judged against has changed."""
PROCESSES = 8
ROUNDS = PROMOTIONS // 20


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[str]:
    """A store, empty: SQLite, PostgreSQL, or a server with several workers over either."""
    artifacts = ("--artifacts-destination", str(folder / "artifacts"), "--workers", "3")
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'mlflow.db'}"
    elif kind == "server":
        mlflow.MlflowClient(f"sqlite:///{folder / 'server.db'}").search_experiments()
        with mlflow_server(folder, *artifacts) as url:
            yield url
    else:
        if missing := no_postgresql():
            pytest.skip(missing)
        with postgresql() as server:
            server.execute("CREATE DATABASE store")
            mlflow.MlflowClient(server.uri("store")).search_experiments()
            if kind == "postgresql":
                yield server.uri("store")
                return
            with mlflow_server(folder, *artifacts, backend=server.uri("store")) as url:
                yield url


@contextmanager
def versions(
    kind: str, folder: Path, tiny_model: Path, count: int
) -> Iterator[tuple[str, list[str]]]:
    """A store with the champion ``models:/bot/1`` and other versions; yields URI and those versions."""
    with opened(kind, folder) as store, machine(folder, store):
        flavor.add_base(tiny_model, "tiny")
        for seed in range(count + 1):
            adapter = build_tiny_adapter(tiny_model, folder / f"adapter{seed}", seed=seed, rank=1)
            alias = "champion" if seed == 0 else None
            log_version(adapter, "tiny", "bot", alias=alias)
        yield store, [f"models:/bot/{number}" for number in range(2, count + 2)]


def pairs(uris: list[str]) -> list[list[str]]:
    """Two versions for each process: one is always not champion."""
    return [uris[i : i + 2] for i in range(0, len(uris), 2)]


def checked(attempts: list[Attempts]) -> int:
    """The number of promotions; nothing was lost without a word, and the history is whole."""
    assert [error for said in attempts for error in said.failed] == []
    assert [error for said in attempts for error in said.unread] == []
    won = [uri for said in attempts for uri in said.won]
    entries = ledger.entries("bot")
    adopted, *promoted = entries
    assert adopted.kind is Kind.ADOPTED
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert sorted(f"models:/bot/{entry.version}" for entry in promoted) == sorted(won)
    assert [entry.before for entry in promoted] == [entry.version for entry in entries[:-1]]
    assert [entry.when for entry in entries] == sorted(entry.when for entry in entries)
    assert champion() == entries[-1].version
    assert half_done() == ()
    reigns = history("bot")
    assert [reign.until for reign in reigns] == [*(e.when for e in entries[1:]), None]
    return len(won)


@pytest.mark.parametrize("kind", ["postgresql", "server over postgresql"])
def test_many_promotions_by_eight_processes(kind: str, tiny_model: Path, tmp_path: Path) -> None:
    with versions(kind, tmp_path, tiny_model, 2 * PROCESSES) as (store, uris):
        homes = [tmp_path / f"home{i % 2}" for i in range(PROCESSES)]
        begun = time.monotonic()
        attempts = all_attempts(store, homes, pairs(uris), total=PROMOTIONS)
        seconds = time.monotonic() - begun
        won = checked(attempts)
    late = sum(len(said.late) for said in attempts)
    assert won + late == PROMOTIONS
    median = statistics.median(second for said in attempts for second in said.seconds)
    print(
        f"\n{kind}: {won} promotions and {late} refused as stale by {PROCESSES} processes in"
        f" {seconds:.0f} s; median of a promotion {median:.2f} s"
    )


@pytest.mark.parametrize("kind", ["sqlite", "server"])
def test_of_four_promotions_at_once_from_two_machines_one_succeeds(
    kind: str, tiny_model: Path, tmp_path: Path
) -> None:
    with versions(kind, tmp_path, tiny_model, 8) as (store, uris):
        homes = [tmp_path / f"home{i % 2}" for i in range(4)]
        attempts = all_attempts(store, homes, pairs(uris), rounds=ROUNDS)
        assert checked(attempts) == ROUNDS
    assert sum(len(said.late) for said in attempts) == 3 * ROUNDS
    assert all("is stale" in message for said in attempts for message in said.late)


def command(*arguments: str) -> int:
    return CliRunner().invoke(cli, arguments).exit_code


def test_what_a_killed_process_left_half_done_the_same_command_finishes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    with versions("sqlite", tmp_path, tiny_model, 1) as (store, (second,)):
        proven(resolve(second), resolve("models:/bot/1"))
        steps: list[str] = []
        for number in range(1, 50):
            killed = killed_before(store, tmp_path / "home", number, "promote", second, "")
            steps += [finding.next_command for finding in half_done()]
            command("promote", second)
            assert (champion(), half_done()) == ("2", ())
            if not killed:
                break
            rollback("bot", to="1", why=f"once more, {number}")
        assert number > 2
        assert set(steps) == {f"llmops promote {second}"}
        steps.clear()
        for number in range(1, 50):
            why = f"reason {number}"
            killed = killed_before(store, tmp_path / "home", number, "rollback", "bot", why)
            steps += [finding.next_command for finding in half_done()]
            command("rollback", "bot", "--why", why)
            assert (champion(), half_done()) == ("1", ())
            if not killed:
                break
            rollback("bot", to="2", why=f"forth, {number}")
        assert number > 2
        assert set(steps) == {"llmops rollback bot --to 1 --why TEXT"}
