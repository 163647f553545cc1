from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from fake_process import version

from llmops.engine.openai.errors import ApiError
from llmops.serve.engines.protocol import EngineProcess
from llmops.serve.gateway.versions.engine import Engine
from llmops.serve.gateway.versions.router import Router, Target, names, unavailable


class Nowhere:
    """The address of a process; the router never talks to one."""

    address, key, log, pid, kind, base_digest = (
        "http://127.0.0.1:1",
        "k",
        Path("log"),
        1,
        "local",
        "",
    )


def target(number: int) -> Target:
    served = version(number)
    return Target(served, Engine(cast(EngineProcess, Nowhere()), served))


def refusal(router: Router, model: str | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught, router.hold(model):
        pass
    return caught.value


def test_a_version_has_five_names() -> None:
    assert names("desk", version(7)) == [
        "desk",
        "bot",
        "bot/7",
        "bot@v7",
        "models:/bot/7",
    ]


def test_nothing_answers_before_the_first_version_nor_at_the_end() -> None:
    router = Router("desk")
    error = refusal(router)
    assert (error.status, error.headers) == (503, unavailable("").headers)
    router.flip(target(7))
    assert router.check(None).served.name == "bot@v7"
    router.closing = True
    assert refusal(router).status == 503


def test_an_engine_that_is_down_is_not_asked() -> None:
    router, one = Router("desk"), target(7)
    router.flip(one)
    one.engine.up = False
    assert (refusal(router).status, refusal(router).code) == (503, "unavailable")
    one.engine.up = True
    with router.hold("bot"):
        pass


def test_an_earlier_version_keeps_what_it_holds_and_gets_nothing_new() -> None:
    async def scenario() -> None:
        router, old, new = Router("desk"), target(7), target(8)
        router.flip(old)
        with router.hold("bot@v7") as held:
            assert router.flip(new) is old
            with router.hold("bot") as other:
                assert (held, other) == (old, new)
                assert router.in_flight == 2
            error = refusal(router, "bot@v7")
            assert error.status == 404
            assert "bot@v8" in error.message
            waiting = asyncio.create_task(held.idle.wait())
            await asyncio.sleep(0.01)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("model", ["", "Bot", "bot@v8", "bot@champion", "b" * 64, "x" * 10_000])
def test_other_names_are_not_found(model: str) -> None:
    router = Router("desk")
    router.flip(target(7))
    error: Any = refusal(router, model)
    assert (error.status, error.code) == (404, "model_not_found")
    assert len(error.message) < 500
