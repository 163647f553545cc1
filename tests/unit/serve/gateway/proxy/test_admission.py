from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from llmops.engine.openai.errors import ApiError
from llmops.serve.gateway.proxy.admission import Admission


class Crowd:
    """Requests that hold their place until they are released."""

    def __init__(self, concurrency: int, queue: int) -> None:
        self.admission = Admission(concurrency, queue)
        self.order: list[int] = []
        self._release = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, number: int, client: str = "") -> asyncio.Task[None]:
        task = asyncio.create_task(self._hold(number, client))
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def _hold(self, number: int, client: str) -> None:
        async with self.admission.place(client):
            self.order.append(number)
            await self._release.wait()

    async def end(self) -> None:
        self._release.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        assert (self.admission.answering, self.admission.waiting) == (0, 0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 10))


def test_those_who_wait_come_in_order() -> None:
    async def scenario() -> None:
        crowd = Crowd(2, 10)
        for number in range(6):
            await crowd.come(number)
        assert crowd.order == [0, 1]
        assert (crowd.admission.answering, crowd.admission.waiting) == (2, 4)
        await crowd.end()
        assert crowd.order == list(range(6))

    run(scenario())


def test_beyond_the_queue_a_request_is_refused_with_a_time_to_retry() -> None:
    async def scenario() -> None:
        crowd = Crowd(1, 2)
        for number in range(3):
            await crowd.come(number)
        with pytest.raises(ApiError) as caught:
            await (await crowd.come(3))
        assert caught.value.status == 503
        assert int(caught.value.headers["Retry-After"]) > 0
        await crowd.end()

    run(scenario())


def test_who_leaves_while_waiting_frees_the_place_at_once() -> None:
    async def scenario() -> None:
        crowd = Crowd(1, 17)
        await crowd.come(0)
        leaving = [await crowd.come(number) for number in range(1, 18)]
        for task in leaving:
            task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert crowd.admission.waiting == 0
        await crowd.come(18)
        await crowd.end()
        assert crowd.order == [0, 18]

    run(scenario())


def test_who_leaves_in_the_moment_of_being_called_passes_the_place_on() -> None:
    async def scenario() -> None:
        crowd = Crowd(1, 5)
        holder = await crowd.come(0)
        called = await crowd.come(1)
        await crowd.come(2)
        holder.cancel()
        await asyncio.sleep(0)  # the holder leaves and calls the next, which has not run yet
        called.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert crowd.order == [0, 2]
        await crowd.end()

    run(scenario())


def test_more_places_call_those_who_wait() -> None:
    async def scenario() -> None:
        crowd = Crowd(1, 5)
        for number in range(4):
            await crowd.come(number)
        crowd.admission.widen(3)
        await asyncio.sleep(0)
        assert crowd.order == [0, 1, 2]
        await crowd.end()

    run(scenario())


def test_clients_take_turns() -> None:
    async def scenario() -> None:
        crowd = Crowd(1, 20)
        for number in range(5):
            await crowd.come(number, "greedy")
        await crowd.come(10, "modest")
        await crowd.come(11, "other")
        await crowd.end()
        assert crowd.order == [0, 1, 10, 11, 2, 3, 4]

    run(scenario())


def test_a_full_queue_makes_room_for_a_client_that_has_less_in_it() -> None:
    async def scenario() -> None:
        crowd = Crowd(1, 4)
        greedy = [await crowd.come(number, "greedy") for number in range(5)]
        modest = [await crowd.come(10 + number, "modest") for number in range(3)]
        for refused in (greedy[-1], greedy[-2], modest[-1]):
            with pytest.raises(ApiError, match="4 wait"):
                await refused
        assert crowd.admission.waiting == 4, "two of each"
        await crowd.end()
        assert crowd.order == [0, 1, 10, 2, 11]

    run(scenario())


def test_a_task_that_leaves_in_the_moment_of_being_refused_frees_no_place_twice() -> None:
    async def scenario() -> None:
        crowd = Crowd(1, 2)
        greedy = [await crowd.come(number, "greedy") for number in range(3)]
        modest = asyncio.create_task(crowd._hold(9, "modest"))
        crowd.tasks.append(modest)
        await asyncio.sleep(0)
        greedy[-1].cancel()  # refused, and has not read it yet
        await asyncio.gather(greedy[-1], return_exceptions=True)
        assert (crowd.admission.answering, crowd.admission.waiting) == (1, 2)
        await crowd.end()

    run(scenario())
