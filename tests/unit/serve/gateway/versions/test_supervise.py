"""An engine that is killed, or hangs, under load comes back by itself with every version it had."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from fake_process import Registry, version
from gateways import Running, running

from llmops.errors import ServeError
from llmops.serve.gateway.versions import pulse, supervise


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_PAUSE", 0.05)


async def load(gateway: Running, seen: Counter[int], stop: asyncio.Event) -> None:
    while not stop.is_set():
        status, headers, said = await gateway.ask("rate=100", max_tokens=5)
        seen[status] += 1
        if status == 200:
            assert set(said["choices"][0]["message"]["content"].split()) == {"bot@v8"}
        else:
            assert status == 503
            assert "retry-after" in headers
            await asyncio.sleep(0.02)


def test_a_killed_engine_comes_back_with_its_versions_and_without_the_registry(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with running(tmp_path, uri="models:/bot/7") as gateway:
            stream = asyncio.create_task(gateway.stream("rate=5", max_tokens=400))
            while not gateway.service.router.in_flight:
                await asyncio.sleep(0.01)
            await gateway.service.swapper.swap("models:/bot/8")
            gateway.registry.down = ServeError("the registry is down")
            seen, stop = Counter[int](), asyncio.Event()
            clients = [asyncio.create_task(load(gateway, seen, stop)) for _ in range(8)]
            await asyncio.sleep(0.5)
            os.kill(gateway.engines.started[0].pid, signal.SIGKILL)
            engine = next(iter(gateway.service.swapper.engines.values()))
            async with asyncio.timeout(20):
                while engine.restarts == 0:
                    await asyncio.sleep(0.01)
            before = seen[200]
            await asyncio.sleep(0.5)
            stop.set()
            await asyncio.gather(*clients)
            _, events = await stream
            assert b"[DONE]" not in events
            assert b"stream_cut" in events[-1]
            assert seen[200] > before
            assert seen[503] > 0
            assert set(seen) == {200, 503}
            assert gateway.reports["processes"] == [gateway.engines.started[1].pid]
            assert gateway.service.state.describe()["ready"] is True

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_an_engine_that_does_not_start_again_is_tried_with_growing_pauses(tmp_path: Path) -> None:
    async def scenario() -> None:
        registry = Registry(version(7))
        async with running(tmp_path, registry=registry, uri="models:/bot/7") as gateway:
            gateway.engines.options.append("--no-effect=bot@v7")  # what starts now fails the probe
            os.kill(gateway.engines.started[0].pid, signal.SIGKILL)
            async with asyncio.timeout(20):
                while len(gateway.engines.started) < 3:
                    await asyncio.sleep(0.01)
            assert (await gateway.ask())[0] == 503, "no version that was not probed answers"
            assert (await gateway.get("/readyz"))[0] == 503
            assert (await gateway.get("/livez"))[0] == 200
            assert "changes nothing" in str(gateway.service.supervisor.problem)
            gateway.engines.options.clear()
            async with asyncio.timeout(20):
                while (await gateway.ask())[0] != 200:
                    await asyncio.sleep(0.05)
            assert all(one.problem for one in gateway.engines.started[:-1]), "none is left running"
            assert gateway.service.supervisor.problem is None

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_an_engine_that_hangs_is_noticed_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("EVERY_SECONDS", 0.2), ("ANSWER_SECONDS", 0.3), ("HUNG_SECONDS", 1.0)):
        monkeypatch.setattr(pulse, name, seconds)

    async def scenario() -> None:
        async with running(tmp_path, uri="models:/bot/7", concurrency=4) as gateway:
            open_stream = asyncio.create_task(gateway.stream("rate=5", max_tokens=400))
            while not gateway.service.router.in_flight:
                await asyncio.sleep(0.01)
            await gateway.service.swapper.swap("models:/bot/8")
            engine = next(iter(gateway.service.swapper.engines.values()))
            hung = gateway.engines.started[0]
            os.kill(hung.pid, signal.SIGSTOP)
            whole = [asyncio.create_task(gateway.ask("hi")) for _ in range(8)]
            async with asyncio.timeout(10):
                while engine.up:
                    await asyncio.sleep(0.01)
            status, headers, said = await gateway.ask("hi")
            assert (status, said["error"]["code"]) == (503, "unavailable")
            assert int(headers["retry-after"]) > 0
            for answer in whole:  # those at the engine and those that waited for a place
                assert (await answer)[0] in (200, 503)
            assert b"stream_cut" in (await open_stream)[1][-1]
            async with asyncio.timeout(20):
                while (await gateway.ask())[0] != 200:
                    await asyncio.sleep(0.05)
            assert (await gateway.ask())[2]["model"] == "bot@v8"
            assert hung.problem is not None, "it was killed"
            assert sorted(engine.live) == ["bot@v7", "bot@v8"] or sorted(engine.live) == ["bot@v8"]
            assert engine.restarts == 1

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_an_engine_that_is_slow_or_asked_nothing_does_not_count_as_hung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("EVERY_SECONDS", 0.1), ("ANSWER_SECONDS", 0.2), ("HUNG_SECONDS", 0.3)):
        monkeypatch.setattr(pulse, name, seconds)

    async def scenario() -> None:
        async with running(tmp_path, uri="models:/bot/7") as gateway:
            assert (await gateway.ask("delay=1.5"))[0] == 200
            os.kill(gateway.engines.started[0].pid, signal.SIGSTOP)
            await asyncio.sleep(1.5)
            os.kill(gateway.engines.started[0].pid, signal.SIGCONT)
            assert (await gateway.ask("hi"))[0] == 200
            assert len(gateway.engines.started) == 1

    asyncio.run(asyncio.wait_for(scenario(), 60))
