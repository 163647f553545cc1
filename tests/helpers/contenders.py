"""Processes that promote versions of one model at the same time, each as a machine of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mlflow
from judged import proven
from kills import LEDGER_WRITES

from llmops.errors import LlmopsError
from llmops.gate import promote, rollback
from llmops.models.resolve import resolve
from llmops.store import registry

CHAMPION = "models:/bot@champion"
SECONDS = 900
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["contenders"])


@dataclass
class Attempts:
    """What one process tried.

    Attributes:
        won: Versions that it promoted.
        late: Messages with which it lost.
        failed: Other errors; there should be none.
        unread: Champions that could not be read after a success; there should be none.
        seconds: Wall time of each successful promotion.
    """

    won: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def settle_in(store: str, home: Path) -> None:
    """This process is another machine: the same store, a home of its own."""
    os.environ.update(LLMOPS_HOME=str(home), MLFLOW_TRACKING_URI=store)
    mlflow.set_tracking_uri(store)
    mlflow.set_experiment("tests")
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


known = cache(resolve)
"""A version's files, once for each process."""


def attempt(mine: Sequence[str], said: Attempts, together: Callable[[], object]) -> None:
    """Judges a version against the champion of the moment, and promotes it."""
    before = registry.version_of_alias("bot", "champion")
    candidate = next(uri for uri in mine if uri != f"models:/bot/{before}")
    proven(known(candidate), known(f"models:/bot/{before}"))
    together()
    begun = time.monotonic()
    try:
        promote(candidate)
    except LlmopsError as error:
        (said.late if "stale" in str(error) else said.failed).append(str(error))
        return
    except Exception as error:  # whatever it is, the test shows it
        said.failed.append(repr(error))
        return
    said.won.append(candidate)
    said.seconds.append(time.monotonic() - begun)
    try:
        resolve(CHAMPION)
    except Exception as error:
        said.unread.append(repr(error))


def begun(total: Any) -> bool:
    """Whether an attempt is left, which is begun with that."""
    with total.get_lock():
        total.value -= 1
        return bool(total.value >= 0)


def contend(
    store: str, home: Path, mine: Sequence[str], total: Any, rounds: int, barrier: Any, results: Any
) -> None:
    """Promotes until all processes together tried ``total`` times, or for some rounds at once."""
    settle_in(store, home)
    said = Attempts()
    if barrier is not None:
        for _ in range(rounds):
            attempt(mine, said, barrier.wait)
            barrier.wait()
    else:
        while begun(total):
            attempt(mine, said, lambda: None)
    results.put(said)


def all_attempts(
    store: str,
    homes: Sequence[Path],
    mine: Sequence[Sequence[str]],
    *,
    total: int = 0,
    rounds: int = 0,
) -> list[Attempts]:
    """What each of several processes tried, each with a home and versions of its own."""
    counter, results = CONTEXT.Value("i", total), CONTEXT.Queue()
    barrier = CONTEXT.Barrier(len(mine), timeout=SECONDS) if rounds else None
    started = [
        CONTEXT.Process(
            target=contend, args=(store, home, versions, counter, rounds, barrier, results)
        )
        for home, versions in zip(homes, mine, strict=True)
    ]
    for process in started:
        process.start()
    try:
        return [results.get(timeout=SECONDS) for _ in started]
    finally:
        for process in started:
            process.join(timeout=30)
            process.kill()


def die_at(store: str, home: Path, number: int, verb: str, argument: str, why: str) -> None:
    """Promotes or rolls back, and is killed before its n-th write."""
    settle_in(store, home)
    count = 0

    def counting(real: Callable[..., object]) -> Callable[..., object]:
        def write(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return write

    for name in LEDGER_WRITES:
        setattr(mlflow.MlflowClient, name, counting(getattr(mlflow.MlflowClient, name)))
    if verb == "promote":
        promote(argument)
    else:
        rollback(argument, why=why)


def killed_before(store: str, home: Path, number: int, verb: str, argument: str, why: str) -> bool:
    """Whether a process was killed before its n-th write; ``False`` if it has fewer."""
    process = CONTEXT.Process(target=die_at, args=(store, home, number, verb, argument, why))
    process.start()
    process.join(timeout=SECONDS)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0
