from __future__ import annotations

import asyncio
import time

import pytest
from sides import generate

from llmops.engine.local.engine import LocalEngine
from llmops.errors import UsageError
from llmops.records import Answer, ModelFiles, Sampling
from llmops.serve.worker.queue import Busy, QueuedEngine

HI = [{"role": "user", "content": "hi"}]


def test_text_is_continued_without_the_template(engine: LocalEngine) -> None:
    assert engine.render("def wrap(") == "def wrap("
    assert engine.render(HI).startswith("<|im_start|>user")


def test_requests_are_answered_in_turn_as_the_engine_answers_alone(
    engine: LocalEngine, files: ModelFiles
) -> None:
    prompts = [[{"role": "user", "content": text}] for text in ("a", "bb", "a file.")]
    sampling = Sampling(max_tokens=8)
    expected = [generate(engine, files, [prompt], sampling)[0] for prompt in prompts]

    async def collect(queued: QueuedEngine) -> list[Answer]:
        jobs = [queued.submit(prompt, sampling) for prompt in prompts]
        return [await last(job) for job in jobs]

    assert asyncio.run(collect(QueuedEngine(engine, files))) == expected


async def last(job) -> Answer:
    while not isinstance(piece := await job.next(), Answer):
        pass
    return piece


def test_a_request_with_several_answers_takes_one_place(
    engine: LocalEngine, files: ModelFiles
) -> None:
    samplings = [Sampling(max_tokens=8, temperature=1.0, seed=seed) for seed in range(3)]
    expected = generate(engine, files, [HI] * 3, samplings)

    async def collect() -> list[Answer]:
        queued = QueuedEngine(engine, files, waiting=1)
        several, single = queued.submit(HI, *samplings), queued.submit(HI, samplings[0])
        with pytest.raises(Busy):
            queued.submit(HI, samplings[0])
        answers = [await last(several) for _ in samplings]
        assert await last(single) == expected[0]
        return answers

    assert asyncio.run(collect()) == expected


def test_an_answer_without_a_limit_ends_with_the_context(
    engine: LocalEngine, files: ModelFiles
) -> None:
    async def answer() -> Answer:
        queued = QueuedEngine(engine, files)
        return await last(queued.submit("a" * 500, Sampling(max_tokens=None)))

    answered = asyncio.run(answer())
    assert answered.prompt_tokens + answered.tokens <= engine.context


def test_a_prompt_that_does_not_fit_raises(engine: LocalEngine, files: ModelFiles) -> None:
    async def answer() -> None:
        await QueuedEngine(engine, files).submit("a b " * 600, Sampling()).next()

    with pytest.raises(UsageError, match="context is 512"):
        asyncio.run(answer())


def test_a_full_queue_refuses_and_cancelling_empties_it(
    long_engine: LocalEngine, long_files: ModelFiles
) -> None:
    async def crowd() -> float:
        queued = QueuedEngine(long_engine, long_files, waiting=1)
        endless = Sampling(max_tokens=30_000, temperature=1.0, seed=1)
        running, waiting = queued.submit(HI, endless), queued.submit(HI, endless)
        with pytest.raises(Busy):
            queued.submit(HI, endless)
        await running.next()
        began = time.monotonic()
        running.cancel()
        waiting.cancel()
        while True:
            try:
                await last(queued.submit(HI, Sampling(max_tokens=2)))
                return time.monotonic() - began
            except Busy:
                await asyncio.sleep(0.05)

    assert asyncio.run(crowd()) < 10  # 30,000 tokens take minutes


def test_unseeded_answers_are_not_decided_by_an_earlier_seed(
    long_engine: LocalEngine, long_files: ModelFiles
) -> None:
    async def pair() -> tuple[str, str]:
        queued = QueuedEngine(long_engine, long_files)
        seeded = Sampling(max_tokens=16, temperature=1.5, seed=3)
        free = Sampling(max_tokens=16, temperature=1.5)
        return (
            (await last(queued.submit(HI, seeded))).text,
            (await last(queued.submit(HI, free))).text,
        )

    first, second = asyncio.run(pair()), asyncio.run(pair())
    assert first[0] == second[0]
    assert first[1] != second[1]
