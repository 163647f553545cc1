"""Keep what running engines need, and keep what they write small, now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from llmops.errors import first_line
from llmops.files.capped import cap
from llmops.models.inventory import mark_used
from llmops.serve.gateway.threads import in_thread
from llmops.serve.gateway.versions.engine import Engine

EVERY_SECONDS = 3600.0
LOG_SECONDS = 5.0
"""Seconds between two looks at the size of an engine's log."""
log = logging.getLogger(__name__)


async def keep(engines: Mapping[Any, Engine]) -> None:
    """Mark the files of all loaded versions as used, now and then, until it is cancelled.

    An engine that is brought back needs them, perhaps weeks after they were fetched, and
    `llmops cache gc --unused-for DAYS` removes what looks unused.

    Args:
        engines: The engines, which may change in the meantime.
    """
    while True:
        for served in [one for engine in engines.values() for one in engine.live.values()]:
            await in_thread(mark_used, served.files)
        await asyncio.sleep(EVERY_SECONDS)


async def cap_logs(engines: Mapping[Any, Engine]) -> None:
    """Keep the logs of all engines small until it is cancelled; engines write them themselves.

    Args:
        engines: The engines, which may change in the meantime.
    """
    while True:
        await asyncio.sleep(LOG_SECONDS)
        for engine in list(engines.values()):
            try:
                await in_thread(cap, engine.process.log)
            except OSError as error:  # such as a full disk
                log.warning("log not capped", extra={"fields": {"why": first_line(error)}})
