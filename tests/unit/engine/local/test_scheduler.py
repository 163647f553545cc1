"""Batches of a model with several adapters: which items share one, and what is active between."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sides import CONVERSATIONS, GREEDY, side_of, trained

from llmops.engine.local.decode.memory import Budget
from llmops.engine.local.engine import LocalEngine
from llmops.engine.local.mixed_adapters import Mixture, UnmixableError
from llmops.engine.local.scheduler import Scheduler
from llmops.engine.requests import Prompt
from llmops.records import ModelFiles


@pytest.fixture
def names(tuned: ModelFiles, other: ModelFiles) -> list[str | None]:
    """The base model and two adapters, as the model calls them."""
    return [None, tuned.adapter_digest, other.adapter_digest]


def prompts(engine: LocalEngine, names: list[str | None]) -> list[Prompt]:
    """One prompt to each, with its place as the key."""
    ids = engine.token_ids(engine.render(CONVERSATIONS[0]))
    chat_format = engine.chat_format()
    return [Prompt(ids, GREEDY, chat_format, name, i) for i, name in enumerate(names)]


def active(engine: LocalEngine) -> str | None:
    """The adapter that PEFT computes now."""
    status = engine.model.get_model_status()
    return status.active_adapters[0] if status.enabled else None


class Batches:
    """Work that records its batches and returns the keys of the items."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.adapters: list[list[str | None]] = []
        self.active: list[str | None] = []

    def __call__(self, items: list[Prompt], mixture: Mixture | None) -> list[Any]:
        self.adapters.append([item.adapter for item in items])
        self.active.append(active(self.engine))
        return [f"result {item.key}" for item in items]


def test_adapters_share_a_batch_in_which_each_is_adjacent(
    engine: LocalEngine, names: list[str | None]
) -> None:
    scheduler, work = Scheduler(engine.model, 512, None), Batches(engine)
    results = dict(scheduler.compute(prompts(engine, names * 2), work, Budget(10_000), 8))
    assert results == {i: f"result {i}" for i in range(6)}
    (batch,) = work.adapters
    assert batch == sorted(names * 2, key=lambda name: name or "")


def test_a_model_that_cannot_mix_gets_a_batch_for_each_adapter_from_then_on(
    engine: LocalEngine, names: list[str | None]
) -> None:
    scheduler, work, mixed = Scheduler(engine.model, 512, names[1]), Batches(engine), []

    def unmixable(items: list[Prompt], mixture: Mixture | None) -> list[Any]:
        if len({item.adapter for item in items}) > 1:
            mixed.append(len(items))
            raise UnmixableError
        return work(items, mixture)

    for _ in range(2):
        given = prompts(engine, names * 2)
        results = dict(scheduler.compute(given, unmixable, Budget(10_000), 8))
        assert results == {i: f"result {i}" for i in range(6)}
    assert mixed == [6], "mixing is tried once"
    assert sorted(work.adapters, key=str) == sorted([[name] * 2 for name in names] * 2, key=str)


@pytest.fixture(scope="module")
def dora(folder: Path, base: ModelFiles, tuned: ModelFiles) -> tuple[LocalEngine, str | None]:
    """An engine with an adapter that can share no batch, and its name."""
    directory = folder.with_name("dora")
    trained(folder, seed=5, use_dora=True).save_pretrained(directory)
    side = side_of(folder, directory)
    return LocalEngine([base, tuned, side]), side.adapter_digest


def test_an_adapter_that_cannot_mix_is_active_for_its_own_batch_alone(
    dora: tuple[LocalEngine, str | None], tuned: ModelFiles
) -> None:
    engine, special = dora
    names = [None, special, tuned.adapter_digest, special]
    for resting in (None, tuned.adapter_digest, special):
        scheduler, work = Scheduler(engine.model, 512, resting), Batches(engine)
        assert active(engine) == resting
        assert len(list(scheduler.compute(prompts(engine, names), work, Budget(10_000), 8))) == 4
        assert work.adapters == [[None, tuned.adapter_digest], [special, special]]
        mixed, alone = work.active
        assert alone == special
        assert mixed != special, "hooks compute no DoRA, so it must not be active"
        assert active(engine) == resting


def test_after_a_failure_the_resting_adapter_is_active(
    dora: tuple[LocalEngine, str | None],
) -> None:
    engine, special = dora
    scheduler = Scheduler(engine.model, 512, None)

    def fail(items: list[Prompt], mixture: Mixture | None) -> list[Any]:
        assert active(engine) == special
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        scheduler.in_turn(prompts(engine, [special]), fail)
    assert active(engine) is None
    assert scheduler.in_turn(prompts(engine, [None]), Batches(engine)) == ["result 0"]


def test_threads_take_turns(engine: LocalEngine, names: list[str | None]) -> None:
    scheduler, inside = Scheduler(engine.model, 512, None), threading.Lock()

    def work(items: list[Prompt], mixture: Mixture | None) -> list[Any]:
        assert inside.acquire(blocking=False), "another thread computes"
        time.sleep(0.005)
        inside.release()
        return [item.key for item in items]

    with ThreadPoolExecutor(6) as pool:
        given = [prompts(engine, [name]) for name in names * 4]
        results = list(pool.map(lambda items: scheduler.in_turn(items, work), given))
    assert results == [[0]] * 12


def test_results_come_batch_by_batch(engine: LocalEngine, names: list[str | None]) -> None:
    scheduler, work = Scheduler(engine.model, 512, None), Batches(engine)
    results = scheduler.compute(prompts(engine, names * 2), work, Budget(10_000), 2)
    assert work.adapters == []
    next(results)
    assert [len(batch) for batch in work.adapters] == [2]
    assert len(list(results)) == 5
    assert [len(batch) for batch in work.adapters] == [2, 2, 2]
