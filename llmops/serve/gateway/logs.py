"""The gateway's log: JSON lines of bounded size and rate, without prompts, answers or keys."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

FILE = "gateway.log"
MAX_BYTES = 10_000_000
"""Bytes of the log; one earlier file of the same size is kept."""
BURST = 100
"""Lines within one second; the rest is counted."""
QUIET = ("uvicorn.error", "uvicorn.access", "asyncio", "aiohttp", "mlflow", "alembic")
"""Loggers of libraries, whose warnings about clients repeat without end."""


class Lines(logging.Formatter):
    """Formats a record as a line of JSON: time, level, event and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        head = {"time": f"{at}.{record.msecs:03.0f}Z", "level": record.levelname.lower()}
        return json.dumps({**head, "event": record.getMessage(), **fields}, default=str)


class Throttle(logging.Filter):
    """Lets ``BURST`` lines a second pass, and says with the next how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._passed, self._left_out = 0, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        if (second := int(record.created)) != self._second:
            self._second, self._passed = second, 0
        self._passed += 1
        if self._passed > BURST:
            self._left_out += 1
            return False
        if self._left_out:
            record.fields = {**getattr(record, "fields", {}), "left_out": self._left_out}
            self._left_out = 0
        return True


def start(folder: Path) -> Path:
    """Write the log to a folder from now on; return its file."""
    path = folder / FILE
    handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8")
    path.chmod(0o600)
    handler.setFormatter(Lines())
    handler.addFilter(Throttle())
    logger = logging.getLogger("llmops")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return path
