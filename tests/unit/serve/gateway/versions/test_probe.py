from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from fake_process import OTHER_BASE, Engines, version

from llmops.errors import ServeError
from llmops.records.serving import Served
from llmops.serve.gateway.proxy.upstream import Upstream
from llmops.serve.gateway.versions.engine import Engine
from llmops.serve.gateway.versions.probe import difference, probe


def probed(folder: Path, served: Served, *options: str, dead: bool = False) -> None:
    async def scenario() -> None:
        engines, upstream = Engines(folder, *options), Upstream()
        try:
            process = engines.open(served)
            if dead:
                process.close()
            await probe(upstream, Engine(process, served), served)
        finally:
            await upstream.close()
            engines.close()

    asyncio.run(scenario())


def test_an_adapter_that_differs_passes(tmp_path: Path) -> None:
    probed(tmp_path, version(7))


def test_an_adapter_that_answers_as_its_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="the adapter changes nothing") as caught:
        probed(tmp_path, version(7), "--no-effect", "bot@v7")
    assert "models:/bot/7" in str(caught.value.next_command)


def test_a_full_model_only_has_to_answer(tmp_path: Path) -> None:
    probed(tmp_path, version(7, adapter=False), "--no-effect", "bot@v7")


def test_an_engine_that_has_ended_is_said(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"bot@v7: the engine does not answer"):
        probed(tmp_path, version(7, base=OTHER_BASE), dead=True)


def test_differences_are_of_common_tokens() -> None:
    assert difference({"a": -1.0, "b": -2.0}, {"a": -1.5, "c": 0.0}) == 0.5
    assert difference({"a": -1.0}, {"b": -1.0}) == float("inf")
    assert difference({"a": -1.0}, {"a": -1.0}) == 0.0


def test_the_probe_takes_a_fraction_of_the_two_seconds_of_a_swap(tmp_path: Path) -> None:
    async def scenario() -> float:
        engines, upstream, served = Engines(tmp_path, "--delay", "0.1"), Upstream(), version(7)
        try:
            engine = Engine(engines.open(served), served)
            began = time.monotonic()
            await probe(upstream, engine, served)
            return time.monotonic() - began
        finally:
            await upstream.close()
            engines.close()

    assert asyncio.run(scenario()) < 0.9, "two rounds and a chat, the prompts of each at once"
