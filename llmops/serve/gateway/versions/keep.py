"""Keep the files of served versions: `llmops cache gc --unused-for DAYS` removes what looks unused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from llmops.models.inventory import mark_used
from llmops.serve.gateway.threads import in_thread
from llmops.serve.gateway.versions.engine import Engine

EVERY_SECONDS = 3600.0


async def keep(engines: Mapping[Any, Engine]) -> None:
    """Mark the files of all loaded versions as used, now and then, until it is cancelled.

    An engine that is brought back needs them, perhaps weeks after they were fetched.

    Args:
        engines: The engines, which may change in the meantime.
    """
    while True:
        for served in [one for engine in engines.values() for one in engine.live.values()]:
            await in_thread(mark_used, served.files)
        await asyncio.sleep(EVERY_SECONDS)
