from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing

import pytest
from sides import generate

from llmops.engine.local.continuous import ContinuousBatch
from llmops.engine.local.engine import LocalEngine
from llmops.errors import UsageError
from llmops.records import Answer, ModelFiles, Sampling
from llmops.serve.worker import queue
from llmops.serve.worker.queue import Busy, Job

HI = [{"role": "user", "content": "hi"}]
ENDLESS = Sampling(max_tokens=30_000, temperature=1.0, seed=1)


@pytest.fixture(scope="module")
def batch(files: ModelFiles) -> Iterator[ContinuousBatch]:
    with closing(ContinuousBatch(LocalEngine([files]))) as batch:
        yield batch


@pytest.fixture(scope="module")
def endless(long_files: ModelFiles) -> Iterator[ContinuousBatch]:
    with closing(ContinuousBatch(LocalEngine([long_files]), rows=2)) as batch:
        yield batch


def asked(
    batch: ContinuousBatch, side: ModelFiles, *samplings: Sampling, pieces: bool = False
) -> Job:
    job = Job(batch)
    job.submit(side, HI, samplings, pieces=pieces, top=None)
    return job


def on_a_loop(work: Callable[[], Awaitable[object]]) -> object:
    async def run() -> object:
        return await work()

    return asyncio.run(run())


def test_several_answers_come_in_the_order_of_their_samplings(
    batch: ContinuousBatch, engine: LocalEngine, files: ModelFiles
) -> None:
    samplings = [Sampling(max_tokens=9 - seed, temperature=1.0, seed=seed) for seed in range(3)]
    expected = generate(engine, files, [HI] * 3, samplings)

    async def collect() -> list[Answer]:
        return await asked(batch, files, *samplings).whole()

    assert on_a_loop(collect) == expected


def test_pieces_come_before_the_answer(batch: ContinuousBatch, files: ModelFiles) -> None:
    async def collect() -> tuple[list[str], Answer]:
        job, pieces = asked(batch, files, Sampling(max_tokens=16), pieces=True), []
        while True:
            _, item = await job.next()
            if isinstance(item, Answer):
                return pieces, item
            pieces.append(item)

    pieces, answer = on_a_loop(collect)  # type: ignore[misc]
    assert len(pieces) > 3
    assert "".join(pieces) == answer.text


def test_a_prompt_that_does_not_fit_raises(batch: ContinuousBatch, files: ModelFiles) -> None:
    async def ask() -> None:
        Job(batch).submit(files, "a b " * 600, [Sampling()], pieces=False, top=None)

    with pytest.raises(UsageError, match="context"):
        on_a_loop(ask)


def test_too_many_waiting_requests_are_refused_and_cancelling_frees_them(
    endless: ContinuousBatch, long_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "WAITING", 3)

    async def crowd() -> list[Answer]:
        running = asked(endless, long_files, ENDLESS, ENDLESS, pieces=True)
        await running.next()
        while endless.waiting:
            await asyncio.sleep(0.01)
        waiting = asked(endless, long_files, ENDLESS, ENDLESS, ENDLESS)
        with pytest.raises(Busy):
            asked(endless, long_files, ENDLESS)
        running.cancel()
        waiting.cancel()
        while endless.waiting:
            await asyncio.sleep(0.01)
        return await asked(endless, long_files, Sampling(max_tokens=2)).whole()

    (answer,) = on_a_loop(crowd)  # type: ignore[misc]
    assert answer.tokens == 2


def test_answers_without_a_seed_differ(endless: ContinuousBatch, long_files: ModelFiles) -> None:
    free = Sampling(max_tokens=16, temperature=1.5)

    async def pair() -> list[Answer]:
        return await asked(endless, long_files, free, free).whole()

    first, second = on_a_loop(pair)  # type: ignore[misc]
    assert first.text != second.text
