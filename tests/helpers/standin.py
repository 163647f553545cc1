"""Deployments whose gateway is the stand-in: seconds instead of a minute, and faults on demand."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmops.serve.deployment import launch

SECONDS = 60


def use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts the stand-in in place of the gateway, from now to the end of the test."""
    helpers, known = str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [helpers, known])))
    monkeypatch.setattr(launch, "GATEWAY", "standin_gateway")


def eventually(true: Callable[[], bool]) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
