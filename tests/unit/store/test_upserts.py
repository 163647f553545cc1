"""Of several first writers of a tag or an alias, none fails."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from mlflow.exceptions import MlflowException

from llmops.store import connection, registry
from llmops.store.upserts import ATTEMPTS, upsert

LOST = "(sqlite3.IntegrityError) UNIQUE constraint failed: registered_model_tags.key"


def failing(times: int, message: str) -> tuple[Callable[[], None], list[int]]:
    calls: list[int] = []

    def write() -> None:
        calls.append(1)
        if len(calls) <= times:
            raise MlflowException(message)

    return write, calls


def test_the_same_call_again_updates_the_row() -> None:
    write, calls = failing(1, LOST)
    upsert(write)
    assert len(calls) == 2


@pytest.mark.parametrize(("message", "tries"), [(LOST, ATTEMPTS), ("no such model", 1)])
def test_another_refusal_and_one_that_stays_are_raised(message: str, tries: int) -> None:
    write, calls = failing(ATTEMPTS, message)
    with pytest.raises(MlflowException, match=message[:12].replace("(", r"\(")):
        upsert(write)
    assert len(calls) == tries


def test_six_first_writers_at_once(store: str) -> None:
    connection.client().create_registered_model("bot")
    start = Barrier(6)

    def write(number: int) -> None:
        for key in range(8):
            start.wait()
            registry.annotate_model("bot", f"key{key}", str(number))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert len(connection.client().get_registered_model("bot").tags) == 8
