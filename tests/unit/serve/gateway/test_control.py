from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from gateways import Running, running

from llmops.errors import ServeError
from llmops.serve.deployment import control, state
from llmops.serve.deployment.config import Config
from llmops.serve.deployment.record.status import Started, Status
from llmops.serve.gateway.versions import follow

Scenario = Callable[[Running], Awaitable[None]]


def play(scenario: Scenario, folder: Path, *options: str, **settings: Any) -> None:
    async def run() -> None:
        async with running(folder, *options, **settings) as gateway:
            await scenario(gateway)

    asyncio.run(asyncio.wait_for(run(), 60))


async def command(
    gateway: Running, method: str, path: str, token: str | None = None, **sent: Any
) -> tuple[int, Any]:
    given = gateway.reports["token"] if token is None else token
    headers = {"Authorization": f"Bearer {given}"}
    url = gateway.reports["control"] + path
    async with gateway.http.request(method, url, headers=headers, **sent) as response:
        return response.status, await response.json()


def test_without_the_token_nothing_is_done(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        for token in ("", "wrong", "ü"):
            for method, path in (("GET", "/status"), ("POST", "/update")):
                assert (await command(gateway, method, path, token))[0] == 401
        assert gateway.reports["control"].startswith("http://127.0.0.1:")
        assert (await gateway.ask())[0] == 200
        assert (await gateway.get("/status"))[0] == 404, "not at the public port"

    play(scenario, tmp_path)


def test_the_status_names_version_engine_and_load(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        status, found = await command(gateway, "GET", "/status")
        assert status == 200
        assert (found["version"], found["ready"], found["follows"]) == ("bot@v7", True, True)
        assert (found["swaps"], found["waiting"], found["in_flight"]) == (1, 0, {"bot@v7": 0})
        (engine,) = found["engines"]
        assert (engine["pid"], engine["up"]) == (gateway.engines.started[0].pid, True)
        assert engine["versions"] == ["bot@v7"]

    play(scenario, tmp_path)


def test_an_update_swaps_pins_and_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.05)
    recorded: list[tuple[str, bool]] = []

    def retarget(uri: str, *, follow: bool) -> None:
        recorded.append((uri, follow))

    async def scenario(gateway: Running) -> None:
        done = await command(gateway, "POST", "/update", json={"uri": "models:/bot/8"})
        assert done == (200, {"version": "bot@v8", "changed": True, "unproven": False})
        assert gateway.reports["model"] == "bot@v8"
        again = await command(gateway, "POST", "/update", json={"uri": "models:/bot/8"})
        assert again == (200, {"version": "bot@v8", "changed": False, "unproven": False})
        await asyncio.sleep(0.2)
        assert (await gateway.ask())[2]["model"] == "bot@v8", "it no longer follows the alias"
        asked = {"uri": "models:/bot@champion", "follow": True}
        assert (await command(gateway, "POST", "/update", json=asked))[1]["version"] == "bot@v7"
        gateway.registry.alias = "8"
        done = await command(gateway, "POST", "/update", json={"uri": None})
        assert done[1]["version"] == "bot@v8"
        assert recorded == [("models:/bot/8", True)] * 2 + [("models:/bot@champion", True)]

    play(scenario, tmp_path, parts={"retarget": retarget})


def test_a_refused_update_says_why_and_what_to_do(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        sent = {"uri": "models:/bot/8"}
        status, said = await command(gateway, "POST", "/update", json=sent)
        assert status == 422
        assert "the adapter changes nothing" in said["error"]["message"]
        assert said["error"]["next"]
        status, said = await command(gateway, "POST", "/update", json={"uri": "models:/bot/99"})
        assert (status, "no such version" in said["error"]["message"]) == (422, True)
        assert (await gateway.ask())[2]["model"] == "bot@v7"

    play(scenario, tmp_path, "--no-effect", "bot@v8", follow=False)


def test_the_client_of_the_commands_reads_the_refusal(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        said = gateway.reports
        status = Status(model="bot@v7", control=said["control"], token=said["token"])
        config = Config(name="desk", uri="models:/bot/7", follow=False, host="h", port=1)
        record = state.Record(config, status, "http://h:1", Started(1, 1.0))
        with pytest.raises(
            ServeError, match=r"the adapter changes nothing(?s:.*)bot@v7 goes on"
        ) as no:
            await asyncio.to_thread(control.update, record, "models:/bot/8", follow=False)
        assert "was trained on this base" in str(no.value.next_command)

    play(scenario, tmp_path, "--no-effect", "bot@v8", follow=False)


def test_of_two_updates_at_once_one_is_refused(tmp_path: Path) -> None:
    async def scenario(gateway: Running) -> None:
        sent = {"json": {"uri": "models:/bot/8"}}
        done = await asyncio.gather(
            *(command(gateway, "POST", "/update", **sent) for _ in range(2))
        )
        assert sorted(status for status, _ in done) == [200, 409]

    play(scenario, tmp_path, "--delay", "0.1", follow=False)


@pytest.mark.parametrize("sent", [{"data": b"{"}, {"json": {}}, {"json": []}, {"json": None}])
def test_what_is_no_command_is_refused(tmp_path: Path, sent: dict[str, Any]) -> None:
    async def scenario(gateway: Running) -> None:
        assert (await command(gateway, "POST", "/update", **sent))[0] == 400
        assert (await command(gateway, "GET", "/update"))[0] == 404

    play(scenario, tmp_path)
