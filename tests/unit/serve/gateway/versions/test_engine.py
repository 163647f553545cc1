from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from fake_process import Engines, version

from llmops.errors import IntegrityError
from llmops.serve.gateway.versions.engine import Engine


def test_versions_come_and_go_once_and_the_end_is_noticed(tmp_path: Path) -> None:
    async def scenario() -> None:
        engines = Engines(tmp_path)
        try:
            process = engines.open(version(7))
            engine = Engine(process, version(7))
            await asyncio.gather(engine.load(version(8)), engine.load(version(8)))
            assert {"bot@v7", "bot@v8"} < set(process.stats()["models"])
            await engine.unload("bot@v7")
            await engine.unload("bot@v7")
            assert list(engine.live) == ["bot@v8"]
            assert "bot@v7" not in process.stats()["models"]
            files = replace(version(7).files, adapter_digest="f" * 64)
            with pytest.raises(IntegrityError):
                await engine.load(replace(version(7), files=files))
            assert engine.problem() is None
            engine.suspect()
            assert engine.suspected.is_set()
            await engine.close()
            assert (engine.up, engine.closed) == (False, True)
            assert "ended" in str(engine.problem())
        finally:
            engines.close()

    asyncio.run(scenario())
