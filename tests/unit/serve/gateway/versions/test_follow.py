from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fake_process import Registry, version
from gateways import Running, running

from llmops.errors import StoreError, UsageError
from llmops.serve.gateway.versions import follow

Scenario = Callable[[Running], Awaitable[None]]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(follow, "RETRY_SECONDS", 0.2)


def play(scenario: Scenario, folder: Path, *options: str, **settings: Any) -> None:
    async def run() -> None:
        async with running(folder, *options, **settings) as gateway:
            await scenario(gateway)

    asyncio.run(asyncio.wait_for(run(), 60))


async def until(true: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def serves(gateway: Running, name: str) -> bool:
    target = gateway.service.router.current
    return target is not None and target.served.name == name


def test_the_alias_is_followed(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        for alias in ("8", "7", "8"):
            gateway.registry.alias = alias
            await until(lambda alias=alias: serves(gateway, f"bot@v{alias}"))
            assert (await gateway.ask())[2]["model"] == f"bot@v{alias}"

    play(scenario, tmp_path)


@pytest.mark.parametrize("settings", [{"follow": False}, {"uri": "models:/bot/7"}])
def test_a_pinned_deployment_stays(tmp_path: Path, settings: dict[str, Any]) -> None:
    async def scenario(gateway: Running) -> None:
        gateway.registry.alias = "8"
        await asyncio.sleep(0.3)
        assert serves(gateway, "bot@v7")
        assert not gateway.service.follower.follows

    play(scenario, tmp_path, **settings)


def test_without_the_registry_the_last_version_keeps_serving(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        gateway.registry.down = StoreError("connection refused")
        gateway.registry.alias = "8"
        await until(lambda: gateway.service.follower.problem is not None)
        assert "connection refused" in str(gateway.service.state.describe()["problem"])
        await until(lambda: gateway.reports.get("note") is not None)
        assert (await gateway.ask())[2]["model"] == "bot@v7"
        gateway.registry.down = None
        await until(lambda: serves(gateway, "bot@v8"))
        await until(lambda: gateway.reports["note"] is None)
        assert gateway.service.follower.problem is None

    play(scenario, tmp_path)


def test_an_alias_that_was_removed_is_said_and_the_version_stays(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        gateway.registry.alias = None
        await until(lambda: "no version has this alias" in str(gateway.service.follower.problem))
        assert (await gateway.ask())[2]["model"] == "bot@v7"

    play(scenario, tmp_path)


def test_a_refused_version_is_not_tried_again_until_the_alias_moves(tmp_path: Path) -> None:
    tried: list[str] = []

    class Strict(Registry):
        def fetch(self, uri: str) -> Any:
            tried.append(uri)
            if uri == "models:/bot/8":
                raise UsageError("models:/bot/8: has no evidence")
            return super().fetch(uri)

    async def scenario(gateway: Running) -> None:
        gateway.registry.alias = "8"
        await until(lambda: "has no evidence" in str(gateway.service.follower.problem))
        await asyncio.sleep(0.3)
        assert tried.count("models:/bot/8") == 1
        assert (await gateway.ask())[2]["model"] == "bot@v7"
        gateway.registry.alias = "9"
        await until(lambda: serves(gateway, "bot@v9"))
        gateway.registry.alias = "8"
        await until(lambda: tried.count("models:/bot/8") == 2)

    play(scenario, tmp_path, registry=Strict(version(7), version(8), version(9)))


def test_a_store_that_fails_during_the_swap_is_asked_again(tmp_path: Path) -> None:
    class Shaky(Registry):
        failures = 2

        def fetch(self, uri: str) -> Any:
            if uri == "models:/bot/8" and self.failures:
                self.failures -= 1
                raise StoreError("broken pipe")
            return super().fetch(uri)

    async def scenario(gateway: Running) -> None:
        gateway.registry.alias = "8"
        await until(lambda: serves(gateway, "bot@v8"))

    play(scenario, tmp_path, registry=Shaky(version(7), version(8)))
