"""Swaps under load, refused ones, and those that meet each other, over real engine processes."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_process import OTHER_BASE, Registry, version
from gateways import CHAT, Running, body, running

from llmops.errors import IntegrityError, LlmopsError, ServeError, UsageError
from llmops.serve.gateway.versions.engine import NotNow

Scenario = Callable[[Running], Awaitable[None]]


def play(scenario: Scenario, folder: Path, *options: str, **settings: Any) -> None:
    async def run() -> None:
        async with running(folder, *options, **settings) as gateway:
            await scenario(gateway)

    asyncio.run(asyncio.wait_for(run(), 100))


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def current(gateway: Running) -> str:
    assert gateway.service.router.current is not None
    return gateway.service.router.current.served.name


def models(gateway: Running, engine: int = 0) -> list[str]:
    return [n for n in gateway.engines.started[engine].stats()["models"] if n.startswith("bot")]


async def whole(gateway: Running, seen: Counter[str]) -> None:
    status, headers, said = await gateway.ask("rate=200", max_tokens=20)
    assert status == 200, said
    words = set(said["choices"][0]["message"]["content"].split())
    assert words == {said["model"]} == {headers["x-llmops-model-version"]}
    seen[said["model"]] += 1


async def streamed(gateway: Running, seen: Counter[str]) -> None:
    asked = body("rate=20", max_tokens=60, stream=True)
    async with gateway.http.post(gateway.url + CHAT, json=asked) as response:
        raw = await response.read()
        name = response.headers["x-llmops-model-version"]
    *events, done = [part[6:] for part in raw.split(b"\n\n") if part]
    assert done == b"[DONE]"
    parts = [json.loads(event)["choices"][0]["delta"].get("content") for event in events]
    words = " ".join(filter(None, parts)).split()
    assert len(words) == 60
    assert set(words) == {name} == {json.loads(event)["model"] for event in events}
    seen[name] += 1


def test_an_alias_that_moves_under_load_loses_no_request_and_mixes_no_versions(
    tmp_path: Path,
) -> None:
    async def scenario(gateway: Running) -> None:
        wholes, streams = Counter[str](), Counter[str]()
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(streamed(gateway, streams))
            for number in range(200):
                if number == 60:
                    moved = time.monotonic()
                    gateway.registry.alias = "8"
                group.create_task(whole(gateway, wholes))
                await asyncio.sleep(0.02)
                if number > 60 and current(gateway) == "bot@v8" and moved:
                    assert time.monotonic() - moved < 2
                    moved = 0
        assert wholes.total() == 200
        assert min(wholes["bot@v7"], wholes["bot@v8"]) > 10
        assert streams == {"bot@v7": 20}, "streams that began before end on what they began with"
        await until(lambda: models(gateway) == ["bot@v8"])

    play(scenario, tmp_path)


def test_the_version_before_is_unloaded_only_after_its_last_stream(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        seen = Counter[str]()
        stream = asyncio.create_task(streamed(gateway, seen))
        await until(lambda: gateway.service.router.in_flight == 1)
        await gateway.service.swapper.swap("models:/bot/8")
        assert (await gateway.ask())[2]["model"] == "bot@v8"
        assert models(gateway) == ["bot@v7", "bot@v8"]
        await stream
        await until(lambda: models(gateway) == ["bot@v8"])
        assert list(gateway.service.router.targets) == ["bot@v8"]

    play(scenario, tmp_path, uri="models:/bot/7")


def test_there_and_back_again_while_a_stream_runs(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        seen = Counter[str]()
        stream = asyncio.create_task(streamed(gateway, seen))
        await until(lambda: gateway.service.router.in_flight == 1)
        for uri in ("models:/bot/8", "models:/bot/7", "models:/bot/8", "models:/bot/7"):
            await gateway.service.swapper.swap(uri)
        await stream
        assert (await gateway.ask())[2]["model"] == "bot@v7"
        await until(lambda: models(gateway) == ["bot@v7"])
        await gateway.service.swapper.swap("models:/bot/8")
        assert (await gateway.ask())[2]["model"] == "bot@v8"

    play(scenario, tmp_path, uri="models:/bot/7")


def test_many_swaps_leave_nothing_behind(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        for number in [8, 9, 10, 11, 7] * 4:
            await gateway.service.swapper.swap(f"models:/bot/{number}")
            assert (await gateway.ask())[2]["model"] == f"bot@v{number}"
        await until(lambda: models(gateway) == ["bot@v7"])
        assert list(gateway.service.router.targets) == ["bot@v7"]
        assert len(gateway.engines.started) == 1

    registry = Registry(*map(version, range(7, 12)))
    play(scenario, tmp_path, uri="models:/bot/7", registry=registry)


def test_another_base_gets_an_engine_and_the_earlier_one_is_closed(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        seen = Counter[str]()
        stream = asyncio.create_task(streamed(gateway, seen))
        await until(lambda: gateway.service.router.in_flight == 1)
        await gateway.service.swapper.swap("models:/bot/8")
        assert (await gateway.ask())[2]["model"] == "bot@v8"
        old, new = gateway.engines.started
        assert (old.problem, new.problem) == (None, None)
        await stream
        await until(lambda: old.problem is not None)
        assert list(gateway.service.swapper.engines) == [OTHER_BASE]
        await until(lambda: gateway.reports["processes"] == [new.pid])
        await asyncio.sleep(1)
        assert len(gateway.engines.started) == 2, "its end is no crash"

    registry = Registry(version(7), version(8, base=OTHER_BASE))
    play(scenario, tmp_path, uri="models:/bot/7", registry=registry)


def test_full_models_have_an_engine_each(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        assert (await gateway.ask())[2]["model"] == "bot@v7"
        await gateway.service.swapper.swap("models:/bot/8")
        assert (await gateway.ask())[2]["model"] == "bot@v8"
        assert len(gateway.engines.started) == 2

    registry = Registry(version(7, adapter=False), version(8, adapter=False))
    play(scenario, tmp_path, uri="models:/bot/7", registry=registry)


def test_an_adapter_of_no_effect_is_refused_and_the_old_version_goes_on(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        with pytest.raises(ServeError, match="the adapter changes nothing"):
            await gateway.service.swapper.swap("models:/bot/8")
        assert (await gateway.ask())[2]["model"] == "bot@v7"
        assert models(gateway) == ["bot@v7"]

    play(scenario, tmp_path, "--no-effect", "bot@v8", uri="models:/bot/7")


def test_a_version_without_proof_or_absent_changes_nothing(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        for failure in (
            UsageError("no evidence"),
            IntegrityError("other bytes"),
            OSError(28, "full"),
        ):
            gateway.registry.down = failure
            with pytest.raises((LlmopsError, OSError)):
                await gateway.service.swapper.swap("models:/bot/8")
            gateway.registry.down = None
        with pytest.raises(LlmopsError, match="no such version"):
            await gateway.service.swapper.swap("models:/bot/99")
        assert (await gateway.ask())[2]["model"] == "bot@v7"
        assert gateway.service.swapper.running is None

    play(scenario, tmp_path, uri="models:/bot/7")


def test_the_same_version_again_does_nothing_and_other_bytes_of_its_name_are_refused(
    tmp_path: Path,
) -> None:
    async def scenario(gateway: Running) -> None:
        before = gateway.engines.started[0].stats()
        assert (await gateway.service.swapper.swap("models:/bot/7")).name == "bot@v7"
        assert gateway.engines.started[0].stats() == before
        assert gateway.service.swapper.count == 1
        served = gateway.registry.versions["models:/bot/7"]
        other = replace(served, files=replace(served.files, adapter_digest="f" * 64))
        gateway.registry.versions["models:/bot/7"] = other
        with pytest.raises(IntegrityError):
            await gateway.service.swapper.swap("models:/bot/7")

    play(scenario, tmp_path, uri="models:/bot/7")


def test_of_two_swaps_at_once_one_is_refused(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        swaps = [gateway.service.swapper.swap(f"models:/bot/{number}") for number in (8, 9)]
        done = await asyncio.gather(*swaps, return_exceptions=True)
        assert [type(one) for one in done] == [type(version(8)), NotNow]
        assert "models:/bot/8" in str(done[1])
        assert current(gateway) == "bot@v8"

    registry = Registry(version(7), version(8), version(9))
    play(scenario, tmp_path, uri="models:/bot/7", registry=registry)


def test_an_engine_that_is_full_waits_for_a_version_to_end(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        seen = Counter[str]()
        stream = asyncio.create_task(streamed(gateway, seen))
        await until(lambda: gateway.service.router.in_flight == 1)
        await gateway.service.swapper.swap("models:/bot/8")
        swap = asyncio.create_task(gateway.service.swapper.swap("models:/bot/9"))
        await asyncio.sleep(0.3)
        assert not swap.done()
        await stream
        await swap
        assert "bot@v7" not in models(gateway)

    registry = Registry(version(7), version(8), version(9))
    play(scenario, tmp_path, uri="models:/bot/7", registry=registry, parts={"versions": 1})
