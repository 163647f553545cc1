"""A signal in the middle of an SQL statement waits for its end; the store stays usable."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import _get_store
from sqlalchemy import event

from llmops.store import connection, interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def interrupt_the_next_insert(store: SqlAlchemyStore, number: signal.Signals) -> None:
    """Send a signal after the next INSERT, inside its transaction."""
    sent = []

    def send(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT") and not sent:
            sent.append(statement)
            os.kill(os.getpid(), number)

    event.listen(store.engine, "after_cursor_execute", send)


def wait_after(action: Callable[[], object]) -> None:
    """Do something, and wait for an interrupt."""
    action()
    time.sleep(5)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_inside_a_statement_waits_for_its_end(store: str, number: signal.Signals) -> None:
    interrupts.install()
    client = connection.client()
    run = client.create_run("0").info.run_id
    database = _get_store(store)
    assert isinstance(database, SqlAlchemyStore)
    interrupt_the_next_insert(database, number)
    with pytest.raises(KeyboardInterrupt) as kept:  # its traceback lives on, as in `finally`
        wait_after(lambda: client.log_metric(run, "loss", 1.0))
    begun = time.monotonic()
    client.set_terminated(run, "KILLED")
    assert time.monotonic() - begun < 5, "the interrupted statement has kept the store locked"
    assert client.get_run(run).data.metrics == {"loss": 1.0}
    assert kept.type is KeyboardInterrupt


def test_a_signal_elsewhere_interrupts_at_once() -> None:
    interrupts.install()
    with pytest.raises(KeyboardInterrupt):
        wait_after(lambda: os.kill(os.getpid(), signal.SIGTERM))


def test_a_signal_that_the_shell_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts.install()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
