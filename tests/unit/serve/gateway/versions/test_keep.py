"""The files of a served version do not become old while it is served."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fake_process import FakeProcess, version

from llmops.files import capped
from llmops.models import bases
from llmops.records.serving import Served
from llmops.serve.gateway.versions import keep
from llmops.serve.gateway.versions.engine import Engine


def served_from(folder: Path) -> tuple[Served, list[Path]]:
    """A version whose files were used in 1970, and what has the time of their use."""
    served = version(7)
    base, adapter = folder / "base", folder / "version" / "adapter"
    base.mkdir()
    adapter.mkdir(parents=True)
    stamps = [base / bases.MANIFEST, adapter.parent]
    stamps[0].touch()
    for stamp in stamps:
        os.utime(stamp, (1, 1))
    files = replace(
        served.files, base=replace(served.files.base, directory=base), adapter_dir=adapter
    )
    return replace(served, files=files), stamps


def test_the_files_of_a_served_version_are_marked_as_used_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "EVERY_SECONDS", 0.05)
    served, stamps = served_from(tmp_path)

    async def used(engine: Engine) -> None:
        keeping = asyncio.create_task(keep.keep({"bbb": engine}))
        async with asyncio.timeout(20):
            for _ in range(2):
                for stamp in stamps:
                    os.utime(stamp, (1, 1))
                while any(stamp.stat().st_mtime == 1 for stamp in stamps):
                    await asyncio.sleep(0.01)
        keeping.cancel()

    async def scenario() -> None:
        with closing(FakeProcess(served, tmp_path)) as process:
            await used(Engine(process, served))

    asyncio.run(scenario())


def test_an_engine_that_writes_without_end_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "LOG_SECONDS", 0.02)

    async def scenario() -> None:
        with closing(FakeProcess(version(7), tmp_path)) as process:
            process.log.write_bytes(b"x" * (capped.MAX_BYTES + 1))
            capping = asyncio.create_task(keep.cap_logs({"bbb": Engine(process, version(7))}))
            async with asyncio.timeout(20):
                while process.log.stat().st_size:
                    await asyncio.sleep(0.01)
            (tmp_path / f"{process.log.name}.1").unlink()
            (tmp_path / f"{process.log.name}.1").mkdir()  # it cannot be written
            process.log.write_bytes(b"x" * (capped.MAX_BYTES + 1))
            await asyncio.sleep(0.3)
            assert not capping.done(), "the next look may succeed"
            capping.cancel()

    asyncio.run(scenario())
