"""Engines that echo, under the name ``echo``."""

from __future__ import annotations

import pytest
from echo_engine import ENTRY, EchoEngine

from llmops.recipe.engine_names import ENGINES


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[EchoEngine]:
    """The engines that the test opens, in their order."""
    engines: list[EchoEngine] = []
    monkeypatch.setattr(EchoEngine, "opened", engines)
    monkeypatch.setitem(ENGINES, "echo", ENTRY)
    return engines
