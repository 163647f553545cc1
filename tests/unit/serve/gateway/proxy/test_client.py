from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from llmops.serve.gateway.proxy.client import Gone, Presence

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def leaving(after: float) -> Receive:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(after)
        return {"type": "http.disconnect"}

    return receive


def test_work_ends_when_the_client_leaves() -> None:
    async def scenario() -> None:
        ended = asyncio.Event()

        async def work() -> None:
            async with Presence(leaving(0.01)):
                try:
                    await asyncio.sleep(5)
                finally:
                    ended.set()

        with pytest.raises(Gone):
            await work()
        assert ended.is_set()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)  # nothing is left of the cancellation

    asyncio.run(asyncio.wait_for(scenario(), 2))


def test_work_that_ends_in_time_is_not_disturbed() -> None:
    async def scenario() -> str:
        async with Presence(leaving(5)):
            await asyncio.sleep(0.01)
        return "done"

    assert asyncio.run(scenario()) == "done"


def test_the_end_of_the_answer_is_no_departure() -> None:
    async def scenario() -> str:
        async with Presence(leaving(0.01)) as client:
            client.finish()
            await asyncio.sleep(0.05)
        return "done"

    assert asyncio.run(scenario()) == "done"


def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    async def scenario() -> None:
        async with Presence(leaving(5)):
            raise ValueError("work")

    with pytest.raises(ValueError, match="work"):
        asyncio.run(scenario())


def test_a_cancellation_from_outside_is_not_taken_for_a_departure() -> None:
    async def work() -> None:
        async with Presence(leaving(5)):
            await asyncio.sleep(5)

    async def scenario() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
