"""Run what blocks in a thread that nobody has to wait for.

Loading a model takes minutes, and a registry may hang: neither may keep the gateway from ending, as
the threads of asyncio's own executor do.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


async def in_thread(
    function: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
) -> Result:
    """Return what a function returns, or raise what it raises; it runs in a thread of its own."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def deliver(put: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: None if future.done() else put())

    def work() -> None:
        try:
            result = function(*args, **options)
        except BaseException as error:
            failure = error
            deliver(lambda: future.set_exception(failure))
        else:
            deliver(lambda: future.set_result(result))

    threading.Thread(target=work, daemon=True, name="llmops-blocking").start()
    return await future
