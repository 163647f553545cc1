from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from llmops.serve.gateway.threads import in_thread


def test_results_and_errors_come_back_while_the_loop_goes_on() -> None:
    def divide(one: float, *, by: float) -> float:
        time.sleep(0.1)
        return one / by

    async def scenario() -> None:
        beats = 0
        task = asyncio.create_task(in_thread(divide, 6, by=3))
        while not task.done():
            await asyncio.sleep(0.01)
            beats += 1
        assert task.result() == 2
        assert beats > 3
        with pytest.raises(ZeroDivisionError):
            await in_thread(divide, 1, by=0)

    asyncio.run(scenario())


def test_a_caller_that_gave_up_is_not_missed() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(in_thread(time.sleep, 0.1))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.2)

    asyncio.run(scenario())


def test_a_thread_that_hangs_keeps_no_process_alive() -> None:
    code = """
import asyncio, time
from llmops.serve.gateway.threads import in_thread
async def main():
    task = asyncio.create_task(in_thread(time.sleep, 60))
    await asyncio.sleep(0.1)
    task.cancel()
asyncio.run(main())
"""
    began = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=50).returncode == 0
    assert time.monotonic() - began < 30
